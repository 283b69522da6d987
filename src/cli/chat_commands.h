/* The commands inside a chat: lines that begin with a slash. */
#ifndef FAL_CLI_CHAT_COMMANDS_H
#define FAL_CLI_CHAT_COMMANDS_H

#include "cli/chat_turn.h"
#include "cli/options.h"

/* Rows that store into a fal_chat_settings, besides those of fal_sampling_option_rows. */
extern const fal_option fal_chat_setting_rows[];

/* Runs one line, slash included. Fails: ARGUMENT (unknown command or setting, value out of bounds) and as what it does;
 * the chat goes on. */
fal_status fal_chat_command(fal_chat *chat, const char *line, fal_error *err);

#endif
