/* The rows of commands.def as a table. */
#include "cli/command.h"

#include <string.h>

#define FAL_COMMAND(name, group, summary) FAL_COMMAND_AS(#name, name, group, summary)

#define FAL_COMMAND_AS(name, identifier, group, summary) \
    extern const fal_command fal_command_##identifier;
#include "cli/commands.def"
#undef FAL_COMMAND_AS

static const fal_command_row rows[] = {
#define FAL_COMMAND_AS(name, identifier, group, summary) \
    {name, group, summary, &fal_command_##identifier},
#include "cli/commands.def"
#undef FAL_COMMAND_AS
};

const fal_command_row *fal_command_at(int index) {
    if (index < 0 || (size_t)index >= sizeof rows / sizeof rows[0]) return NULL;
    return &rows[index];
}

const fal_command_row *fal_command_find(const char *name) {
    for (int i = 0; fal_command_at(i); i++)
        if (strcmp(fal_command_at(i)->name, name) == 0) return fal_command_at(i);
    return NULL;
}

const char *fal_command_choice(int index) {
    const fal_command_row *row = fal_command_at(index);
    return row ? row->name : NULL;
}
