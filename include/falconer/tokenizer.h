/* Text to token ids and back. A tokenizer is immutable once open and may be shared between threads. */
#ifndef FALCONER_TOKENIZER_H
#define FALCONER_TOKENIZER_H

#include <falconer/error.h>
#include <falconer/gguf.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fal_tokenizer fal_tokenizer;

/* A growable list of token ids. Zero-initialise; release when done. */
typedef struct fal_tokens {
    int32_t *ids;
    size_t count, capacity;
} fal_tokens;

/* Fails: MEMORY; then nothing was appended. */
FAL_API FAL_MUST_CHECK fal_status fal_tokens_append(fal_tokens *tokens, const int32_t *ids,
                                                    size_t count, fal_error *err);
FAL_API void fal_tokens_release(fal_tokens *tokens);

/* Whether text may name control tokens. Text that a person typed: FAL_SPECIALS_AS_TEXT. */
typedef enum fal_specials {
    FAL_SPECIALS_AS_TEXT,
    FAL_SPECIALS_RECOGNISED
} fal_specials;

/* Reads the vocabulary in f's metadata (also from a file that holds only a vocabulary). f may be closed afterwards.
 *
 *   out    owned by the caller; NULL on failure
 *   Fails: FORMAT (missing or damaged keys), UNSUPPORTED (a kind of tokenizer that is not byte-level BPE), MEMORY. */
FAL_API FAL_MUST_CHECK fal_status fal_tokenizer_open(fal_tokenizer **out, const fal_gguf *f,
                                                     fal_error *err);
FAL_API void fal_tokenizer_close(fal_tokenizer *t);

/* Appends the ids of text [length bytes, any bytes]. Bytes that the vocabulary has no token for are dropped, as the
 * original does; *n_dropped (may be NULL) counts them. On failure out is as it was.
 * Fails: MEMORY, LIMIT (a word of 4 GiB). */
FAL_API FAL_MUST_CHECK fal_status fal_tokenizer_encode(const fal_tokenizer *t, const char *text,
                                                       size_t length, fal_specials specials,
                                                       fal_tokens *out, size_t *n_dropped,
                                                       fal_error *err);

/* The bytes of one token, borrowed from t, not terminated; a control token's text is its name. NULL: no such id. */
FAL_API const char *fal_tokenizer_piece(const fal_tokenizer *t, int32_t id, size_t *length);

/* True for control tokens (<|endoftext|>, <end_message>, ...), which are not shown to people. */
FAL_API bool fal_tokenizer_is_control(const fal_tokenizer *t, int32_t id);

/* True if generation ends at this token: the file's eos and eot, <|endoftext|> and <end_message> by name. */
FAL_API bool fal_tokenizer_is_end(const fal_tokenizer *t, int32_t id);

/* The id whose text is exactly `text` and which is a control token, or -1. */
FAL_API int32_t fal_tokenizer_control_id(const fal_tokenizer *t, const char *text);

FAL_API int32_t fal_tokenizer_n_vocab(const fal_tokenizer *t);
FAL_API int32_t fal_tokenizer_bos(const fal_tokenizer *t); /* -1: none */
FAL_API int32_t fal_tokenizer_eos(const fal_tokenizer *t); /* -1: none */
/* Whether the file asks for a bos token in front of every text. */
FAL_API bool fal_tokenizer_adds_bos(const fal_tokenizer *t);
/* The name of the rule that splits text ("falcon"); borrowed. */
FAL_API const char *fal_tokenizer_pretokenizer(const fal_tokenizer *t);

/* ---- chat ---- */

typedef struct fal_message {
    const char *role;    /* "system", "user", "assistant" */
    const char *content; /* terminated; any text */
} fal_message;

typedef struct fal_chat_format fal_chat_format;

/* A format by name (alfred, chatml, falcon-instruct, falcon-chat, plain); NULL: no such format. */
FAL_API const fal_chat_format *fal_chat_format_by_name(const char *name);
/* The format that t's control tokens, the chat template in f's metadata and the model's name speak for. f may be NULL.
 * Never NULL: plain when nothing else fits. */
FAL_API const fal_chat_format *fal_chat_format_detect(const fal_tokenizer *t, const fal_gguf *f);
FAL_API const char *fal_chat_format_name(const fal_chat_format *format);
/* The system prompt that belongs to the format ("You are Alfred, ..."), with today's date from `now` (seconds since
 * 1970); an empty text when it has none. Writes at most size bytes, terminated. */
FAL_API void fal_chat_default_system(const fal_chat_format *format, int64_t now, char *out,
                                     size_t size);
/* Words at which an answer ends in addition to the end tokens ("\nUser:"); NULL-terminated list, borrowed. */
FAL_API const char *const *fal_chat_stop_words(const fal_chat_format *format);

/* Appends the ids of a conversation. Control tokens come only from the format; content stays text whatever it says.
 *
 *   open_answer  also append what introduces the assistant's next answer
 *   Fails: ARGUMENT (an unknown role, named; the format's control tokens missing in t), MEMORY. */
FAL_API FAL_MUST_CHECK fal_status fal_chat_render(const fal_chat_format *format,
                                                  const fal_tokenizer *t,
                                                  const fal_message *messages, size_t n_messages,
                                                  bool open_answer, fal_tokens *out,
                                                  fal_error *err);

#ifdef __cplusplus
}
#endif
#endif
