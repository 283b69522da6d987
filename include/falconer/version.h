/* The version of the library that a program was compiled with. The build takes its own from here. */
#ifndef FALCONER_VERSION_H
#define FALCONER_VERSION_H

#define FAL_VERSION "0.1.0"

#endif
