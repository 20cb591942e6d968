file(READ "${IN}" text)
file(WRITE "${OUT}" "R\"embedded(${text})embedded\"\n")
