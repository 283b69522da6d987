#ifndef FALCONER_VERSION_H
#define FALCONER_VERSION_H

#define FAL_VERSION "0.1.0"

#endif
