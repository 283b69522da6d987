/* What an encoder of 32 weights finds before it is packed, and the packing into each type. */
#ifndef FAL_QUANT_BLOCK_FIT_H
#define FAL_QUANT_BLOCK_FIT_H

#include <stdint.h>

/* weight = d * code + m, or d * table[code]; m is not looked at by types without a minimum. */
typedef struct fal_block_fit {
    uint16_t d, m;    /* f16 */
    int8_t codes[32]; /* with their signs where codes have them */
} fal_block_fit;

struct fal_q4_0;
struct fal_q4_1;
struct fal_q5_0;
struct fal_q5_1;
struct fal_iq4_nl;

/* Each writes one block whole. */
void fal_q4_0_pack(const fal_block_fit *fit, struct fal_q4_0 *block);
void fal_q4_1_pack(const fal_block_fit *fit, struct fal_q4_1 *block);
void fal_q5_0_pack(const fal_block_fit *fit, struct fal_q5_0 *block);
void fal_q5_1_pack(const fal_block_fit *fit, struct fal_q5_1 *block);
void fal_iq4_nl_pack(const fal_block_fit *fit, struct fal_iq4_nl *block);

/* One scale by the extreme: codes -largest .. largest - 1, the extreme becomes -largest. x [32] */
void fal_block_fit_scale(const float *x, int largest, fal_block_fit *fit);

/* Scale and minimum by the range: codes 0 .. largest. x [32] */
void fal_block_fit_range(const float *x, int largest, fal_block_fit *fit);

#endif
