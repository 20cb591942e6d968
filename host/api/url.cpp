// Boost.URL is compiled here, and not linked: its library is not everywhere.
#include <boost/url/src.hpp>
