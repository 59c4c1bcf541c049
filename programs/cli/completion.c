// Completion scripts of the shells: what can be typed comes from the table of commands.
#include "cli/help.h"

// Appends text within single quotes of a shell ('\'' for a quote).
static void append_quoted(struct buffer *out, const char *text)
{
    for (; *text; text++) {
        buffer_append_string(out, *text == '\'' ? "'\\''" : (char[]){*text, 0});
    }
}

// The first words of all commands, each once, separated by spaces.
static void append_first_words(struct buffer *out)
{
    struct text last = TEXT_NONE;
    for (const struct command *const *each = COMMANDS; *each; each++) {
        struct text name = text_of((*each)->name);
        struct text word = text_slice(name, 0, text_find_byte(name, 0, ' '));
        if (!text_equal(word, last)) {
            buffer_printf(out, "%s%.*s", last.bytes ? " " : "", TEXT_ARGS(word));
        }
        last = word;
    }
}

// The second words of a family.
static void append_second_words(struct buffer *out, struct text family)
{
    bool is_first = true;
    for (const struct command *const *each = COMMANDS; *each; each++) {
        struct text name = text_of((*each)->name);
        if (text_starts_with(name, family) && name.length > family.length &&
            name.bytes[family.length] == ' ') {
            buffer_printf(out, "%s%s", is_first ? "" : " ", (*each)->name + family.length + 1);
            is_first = false;
        }
    }
}

// All option words of a command.
static void append_option_words(struct buffer *out, const struct command *command)
{
    buffer_append_string(out, "--help");
    for (size_t i = 0; i < command->options.count; i++) {
        buffer_printf(out, " --%s", command->options.items[i].name);
    }
    for (size_t i = 0; i < COMMON_OPTIONS.count && !command->is_offline; i++) {
        buffer_printf(out, " --%s", COMMON_OPTIONS.items[i].name);
    }
}

static void append_choices(struct buffer *out, const char *choices)
{
    struct text rest = text_of(choices);
    struct text choice;
    bool is_first = true;
    while (text_next_part(&rest, '|', &choice)) {
        buffer_printf(out, "%s%.*s", is_first ? "" : " ", TEXT_ARGS(choice));
        is_first = false;
    }
}

// The cases of "$command $previous" where the word before is an option of few values: what comes between `before` and `after`.
static void append_value_cases(struct buffer *out, const char *before, const char *after)
{
    for (const struct command *const *each = COMMANDS; *each; each++) {
        for (size_t i = 0; i < (*each)->options.count; i++) {
            const struct command_option *option = &(*each)->options.items[i];
            if (!option->choices) {
                continue;
            }
            buffer_printf(out, "        '%s --%s'", (*each)->name, option->name);
            if (option->letter) {
                buffer_printf(out, " | '%s -%c'", (*each)->name, option->letter);
            }
            buffer_printf(out, ") %s", before);
            append_choices(out, option->choices);
            buffer_printf(out, "%s ;;\n", after);
        }
    }
}

// Calls `append` for each family of commands once.
static void append_families(struct buffer *out,
                            void (*append)(struct buffer *out, struct text family))
{
    struct text last = TEXT_NONE;
    for (const struct command *const *each = COMMANDS; *each; each++) {
        struct text name = text_of((*each)->name);
        struct text word = text_slice(name, 0, text_find_byte(name, 0, ' '));
        if (word.length < name.length && !text_equal(word, last)) {
            append(out, word);
        }
        last = word;
    }
}

static void append_bash_family(struct buffer *out, struct text family)
{
    buffer_printf(out, "        %.*s) [ \"$COMP_CWORD\" -eq 2 ] && words=\"", TEXT_ARGS(family));
    append_second_words(out, family);
    // An option there belongs to the command that has the family's name itself.
    buffer_append_string(out, "\"; [ \"${COMP_WORDS[2]:0:1}\" = \"-\" ] || "
                              "command=\"$command ${COMP_WORDS[2]}\" ;;\n");
}

// The cases "command) words=...": the same in bash and zsh.
static void append_option_cases(struct buffer *out)
{
    for (const struct command *const *each = COMMANDS; *each; each++) {
        buffer_printf(out, "            '%s') words=\"", (*each)->name);
        append_option_words(out, *each);
        buffer_append_string(out, "\" ;;\n");
    }
}

void completion_bash(struct buffer *out)
{
    buffer_append_string(
        out,
        "# bash completion of lode: eval \"$(lode completion bash)\"\n"
        "_lode() {\n"
        "    local current=\"${COMP_WORDS[COMP_CWORD]}\" command=\"${COMP_WORDS[1]}\" words=\"\"\n"
        "    COMPREPLY=()\n"
        "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
        "        COMPREPLY=($(compgen -W \"");
    append_first_words(out);
    buffer_append_string(out, " --help --version\" -- \"$current\"))\n        return\n    fi\n"
                              "    case \"$command\" in\n");
    append_families(out, append_bash_family);
    buffer_append_string(out,
                         "        completion) words=\"bash zsh fish\" ;;\n        help) words=\"");
    append_first_words(out);
    buffer_append_string(out, "\" ;;\n    esac\n"
                              "    case \"$command ${COMP_WORDS[COMP_CWORD - 1]}\" in\n");
    append_value_cases(out, "words=\"", "\"");
    buffer_append_string(out, "    esac\n    if [ \"${current:0:1}\" = \"-\" ]; then\n"
                              "        case \"$command\" in\n");
    append_option_cases(out);
    buffer_append_string(out,
                         "        esac\n    fi\n"
                         "    if [ -n \"$words\" ]; then\n"
                         "        COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
                         "    else\n        COMPREPLY=($(compgen -f -- \"$current\"))\n    fi\n"
                         "}\ncomplete -o filenames -F _lode lode\n");
}

static void append_zsh_family(struct buffer *out, struct text family)
{
    buffer_printf(out, "        %.*s) if (( CURRENT == 3 )); then compadd -- ", TEXT_ARGS(family));
    append_second_words(out, family);
    buffer_append_string(out, "; return; fi; [[ \"${words[3]}\" == -* ]] || "
                              "command=\"$command ${words[3]}\" ;;\n");
}

static bool is_command(struct text word)
{
    for (const struct command *const *each = COMMANDS; *each; each++) {
        if (text_equal(text_of((*each)->name), word)) {
            return true;
        }
    }
    return false;
}

static void append_zsh_choice(struct buffer *out, struct text family)
{
    if (is_command(family)) {
        return; // It stands there already.
    }
    buffer_printf(out, "            '%.*s:commands ", TEXT_ARGS(family));
    append_second_words(out, family);
    buffer_append_string(out, "'\n");
}

void completion_zsh(struct buffer *out)
{
    buffer_append_string(out, "#compdef lode\n"
                              "# zsh completion of lode: lode completion zsh > "
                              "\"${fpath[1]}/_lode\"\n"
                              "_lode() {\n"
                              "    local command=\"${words[2]}\"\n    local -a choices\n"
                              "    if (( CURRENT == 2 )); then\n        choices=(\n");
    for (const struct command *const *each = COMMANDS; *each; each++) {
        if (!strchr((*each)->name, ' ')) {
            buffer_printf(out, "            '%s:", (*each)->name);
            append_quoted(out, (*each)->purpose);
            buffer_append_string(out, "'\n");
        }
    }
    append_families(out, append_zsh_choice);
    buffer_append_string(out,
                         "        )\n        _describe command choices\n        return\n    fi\n"
                         "    case \"$command\" in\n");
    append_families(out, append_zsh_family);
    buffer_append_string(out, "        completion) compadd bash zsh fish; return ;;\n    esac\n"
                              "    case \"$command ${words[CURRENT - 1]}\" in\n");
    append_value_cases(out, "compadd -- ", "; return");
    buffer_append_string(
        out, "    esac\n    if [[ \"$PREFIX\" == -* ]]; then\n        case \"$command\" in\n");
    for (const struct command *const *each = COMMANDS; *each; each++) {
        buffer_printf(out, "            '%s') compadd -- ", (*each)->name);
        append_option_words(out, *each);
        buffer_append_string(out, " ;;\n");
    }
    buffer_append_string(out, "        esac\n    else\n        _files\n    fi\n}\n"
                              "compdef _lode lode\n");
}

static void append_fish_options(struct buffer *out, const char *condition,
                                const struct option_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct command_option *option = &table->items[i];
        buffer_printf(out, "complete -c lode -n '%s' -l %s", condition, option->name);
        if (option->letter) {
            buffer_printf(out, " -s %c", option->letter);
        }
        buffer_append_string(out, option->kind == OPTION_FLAG ? "" : " -r");
        if (option->choices) {
            buffer_append_string(out, " -f -a '");
            append_choices(out, option->choices);
            buffer_append_byte(out, '\'');
        }
        buffer_append_string(out, " -d '");
        append_quoted(out, option->help);
        buffer_append_string(out, "'\n");
    }
}

void completion_fish(struct buffer *out)
{
    buffer_append_string(out, "# fish completion of lode: lode completion fish | source\n");
    for (const struct command *const *each = COMMANDS; *each; each++) {
        struct text name = text_of((*each)->name);
        struct text first = text_slice(name, 0, text_find_byte(name, 0, ' '));
        AUTO_BUFFER struct buffer condition = {0};
        if (first.length == name.length) {
            buffer_printf(out, "complete -c lode -f -n __fish_use_subcommand -a %s -d '",
                          (*each)->name);
            buffer_printf(&condition, "__fish_seen_subcommand_from %s", (*each)->name);
        } else {
            const char *second = (*each)->name + first.length + 1;
            buffer_printf(out, "complete -c lode -f -n __fish_use_subcommand -a %.*s\n",
                          TEXT_ARGS(first));
            buffer_printf(out,
                          "complete -c lode -f -n '__fish_seen_subcommand_from %.*s' -a %s -d '",
                          TEXT_ARGS(first), second);
            buffer_printf(&condition,
                          "__fish_seen_subcommand_from %.*s; and __fish_seen_subcommand_from %s",
                          TEXT_ARGS(first), second);
        }
        append_quoted(out, (*each)->purpose);
        buffer_append_string(out, "'\n");
        append_fish_options(out, condition.bytes, &(*each)->options);
        if (!(*each)->is_offline) {
            append_fish_options(out, condition.bytes, &COMMON_OPTIONS);
        }
    }
    buffer_append_string(out, "complete -c lode -f -n '__fish_seen_subcommand_from completion' "
                              "-a 'bash zsh fish'\n");
}
