#include "driver_h.inc"
