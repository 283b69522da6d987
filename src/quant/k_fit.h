/* What an encoder of 256 weights finds before it is packed, and the packing into each type. */
#ifndef FAL_QUANT_K_FIT_H
#define FAL_QUANT_K_FIT_H

#include <stdint.h>

/* weight = d * scale * code - dmin * minimum; sub-blocks that a type does not have are not looked at. */
typedef struct fal_k_fit {
    uint16_t d, dmin; /* f16 */
    int8_t scales[16], minima[16];
    int8_t codes[256]; /* in the order of the weights */
} fal_k_fit;

struct fal_q2_k;
struct fal_q3_k;
struct fal_q4_k;
struct fal_q5_k;
struct fal_q6_k;
struct fal_iq4_xs;

/* Each writes one block whole. Scales, minima and codes are in the ranges of the type, with their signs. */
void fal_q2_k_pack(const fal_k_fit *fit, struct fal_q2_k *block);
void fal_q3_k_pack(const fal_k_fit *fit, struct fal_q3_k *block);
void fal_q4_k_pack(const fal_k_fit *fit, struct fal_q4_k *block);
void fal_q5_k_pack(const fal_k_fit *fit, struct fal_q5_k *block);
void fal_q6_k_pack(const fal_k_fit *fit, struct fal_q6_k *block);
void fal_iq4_xs_pack(const fal_k_fit *fit, struct fal_iq4_xs *block);

#endif
