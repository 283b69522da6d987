/* What stands beside the files of a set: plot, checksums, the card and what it shows. */
#include "base/alloc.h"
#include "base/file.h"
#include "base/folder.h"
#include "publish/card.h"
#include "publish/checksum.h"
#include "publish/plot.h"
#include "publish/publishing_private.h"

fal_status fal_publishing_write_text(const publishing *p, const char *name,
                                     const fal_string_builder *text, fal_error *err) {
    FAL_TRY(fal_string_status(text, err));
    char *path = fal_path_join(p->options->directory, name);
    if (!path) return fal_fail_memory(err, 0);
    fal_status status = fal_file_write(path, text->text, text->length, err);
    fal_free(path);
    return status;
}

static bool all_diverge(const fal_set *set) {
    for (size_t i = 0; i < set->n_files; i++) {
        if (!(set->files[i].measured.divergence > 0)) return false;
    }
    return true;
}

/* Says so and goes on where there is no gnuplot. One point is no plot. */
static fal_status write_plot(publishing *p, bool *has_plot, fal_error *err) {
    fal_string_builder table = {0};
    fal_error problem = {0};
    *has_plot = false;
    if (!p->options->text || p->set->n_files < 2) return FAL_OK;
    fal_set_to_tsv(&table, p->set);
    fal_status status = fal_publishing_write_text(p, "quality.tsv", &table, err);
    fal_string_release(&table);
    char *tsv = fal_path_join(p->options->directory, "quality.tsv"),
         *svg = fal_path_join(p->options->directory, "quality.svg");
    if (status == FAL_OK && (!tsv || !svg)) status = fal_fail_memory(err, 0);
    if (status == FAL_OK) {
        status = fal_plot_quality(tsv, svg, all_diverge(p->set), &problem);
        *has_plot = status == FAL_OK;
        if (status == FAL_E_UNSUPPORTED) {
            fal_publishing_say(p, FAL_LOG_WARNING, "%s", problem.message);
            fal_file_remove(svg);
            status = FAL_OK;
        } else if (status != FAL_OK && err) {
            *err = problem;
        }
    }
    fal_free(tsv);
    fal_free(svg);
    return status;
}

static fal_status write_checksums(const publishing *p, fal_error *err) {
    fal_checksums list = {0};
    fal_status status = FAL_OK;
    char *path = fal_path_join(p->options->directory, "SHA256SUMS");
    if (!path) return fal_fail_memory(err, 0);
    for (size_t i = 0; i < p->set->n_files && status == FAL_OK; i++)
        status = fal_checksums_add(&list, p->set->files[i].sha256, p->set->files[i].name, err);
    if (status == FAL_OK) status = fal_checksums_write(&list, path, err);
    fal_checksums_release(&list);
    fal_free(path);
    return status;
}

static fal_status bring_thumbnail(publishing *p, fal_error *err) {
    const char *from = p->options->thumbnail;
    if (!from) return FAL_OK;
    p->thumbnail = fal_file_name_of(from);
    char *to = p->thumbnail ? fal_path_join(p->options->directory, p->thumbnail) : NULL;
    fal_status status = to ? fal_copy_file(from, to, err) : fal_fail_memory(err, 0);
    fal_free(to);
    return status;
}

static fal_status write_card(publishing *p, bool has_plot, fal_error *err) {
    const fal_publish_options *o = p->options;
    FAL_TRY(bring_thumbnail(p, err));
    if (fal_file_is_directory(o->source))
        FAL_TRY(
            fal_original_bring_files(&p->original, o->source, o->directory, p->base_model, err));
    const fal_card card = {.set = p->set,
                           .front = p->original.front,
                           .original = fal_slice_of(p->original.body ? p->original.body : ""),
                           .base_model = p->base_model,
                           .license = o->license,
                           .thumbnail = p->thumbnail,
                           .plot = has_plot ? "quality.svg" : NULL};
    fal_slice text =
        o->template_file ? (fal_slice){p->template_text, p->template_length} : fal_card_template();
    const char *template_name = o->template_file ? o->template_file : "card_template.md";
    fal_string_builder readme = {0};
    fal_status status = fal_card_write(&readme, &card, text, template_name, err);
    if (status == FAL_OK) status = fal_publishing_write_text(p, "README.md", &readme, err);
    fal_string_release(&readme);
    return status;
}

fal_status fal_publishing_write_papers(publishing *p, fal_error *err) {
    bool has_plot = false;
    FAL_TRY(write_plot(p, &has_plot, err));
    FAL_TRY(write_checksums(p, err));
    return write_card(p, has_plot, err);
}
