"""Completion scripts, made from the parser itself so that they cannot name what does not exist.

Names of models are asked for when they are needed, with the cluster options already on the line.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True, slots=True)
class Option:
    """A flag: its spellings, its meaning, the values it may have."""

    flags: tuple[str, ...]
    help: str
    takes_value: bool
    choices: tuple[str, ...]
    file: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A command as completion sees it."""

    name: str
    help: str
    options: tuple[Option, ...]
    names: bool
    """It takes the name of a model."""
    words: tuple[str, ...]
    """Words it takes: choices of a positional, or names of its own commands."""
    files: bool
    """It takes files."""


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """The script for a shell."""
    entries = list(_entries(parser))
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](entries)


def _entries(parser: argparse.ArgumentParser) -> Iterator[Entry]:
    for commands in _commands(parser):
        helps = {choice.dest: choice.help or "" for choice in commands._choices_actions}  # noqa: SLF001 - no public way
        for name, sub in commands.choices.items():
            options, words, names, files = _options(sub), [], False, False
            for inner in _commands(sub):
                words += list(inner.choices)
                for below in inner.choices.values():
                    options += _options(below)
            for action in sub._actions:  # noqa: SLF001
                if action.option_strings or isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
                    continue
                words += [str(choice) for choice in action.choices or ()]
                names = names or action.dest == "name"
                files = files or action.dest == "files"
            yield Entry(name, helps.get(name, ""), tuple(options), names, tuple(words), files)


def _commands(parser: argparse.ArgumentParser) -> list[argparse._SubParsersAction[argparse.ArgumentParser]]:
    return [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]  # noqa: SLF001


def _options(parser: argparse.ArgumentParser) -> list[Option]:
    return [
        Option(
            tuple(action.option_strings),
            (action.help or "").split(" (")[0].replace("%(default)s", str(action.default)),
            action.nargs != 0,
            tuple(str(choice) for choice in action.choices or ()),
            action.metavar == "FILE",
        )
        for action in parser._actions  # noqa: SLF001
        if action.option_strings and action.help != argparse.SUPPRESS
    ]


# The name lookup asks with the same cluster options as the line being typed.
_BASH = """\
# bash completion for seatrial; load it with:  source <(seatrial completion bash)
_seatrial_names() {
    local i args=()
    for ((i = 1; i < ${#COMP_WORDS[@]} - 1; i++)); do
        case "${COMP_WORDS[i]}" in
            -n|--namespace|--context|--kubeconfig) args+=("${COMP_WORDS[i]}" "${COMP_WORDS[i+1]}") ;;
        esac
    done
    "${COMP_WORDS[0]}" list -o name "${args[@]}" 2>/dev/null
}
_seatrial() {
    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" command="" i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "${COMP_WORDS[i]}" in
            -n|--namespace|--context|--kubeconfig) ((i++)) ;;
            -*) ;;
            *) command="${COMP_WORDS[i]}"; break ;;
        esac
    done
    COMPREPLY=()
    if [[ -z "$command" ]]; then
        COMPREPLY=($(compgen -W "%(commands)s" -- "$cur"))
        return
    fi
    case "$command $prev" in
%(values)s
    esac
    case "$command" in
%(cases)s
    esac
}
complete -F _seatrial seatrial
complete -F _seatrial kubectl-seatrial
"""


def _bash(entries: list[Entry]) -> str:
    values, cases = [], []
    for entry in entries:
        for option in entry.options:
            names = "|".join(f'"{entry.name} {flag}"' for flag in option.flags)
            if option.choices:
                reply = f'COMPREPLY=($(compgen -W "{" ".join(option.choices)}" -- "$cur"))'
            elif option.file:
                reply = 'COMPREPLY=($(compgen -f -- "$cur"))'
            elif option.takes_value:
                reply = ":"
            else:
                continue
            values.append(f"        {names}) {reply}; return ;;")
        flags = " ".join(flag for option in entry.options for flag in option.flags)
        lines = [f'            if [[ "$cur" == -* ]]; then COMPREPLY=($(compgen -W "{flags}" -- "$cur")); return; fi']
        if entry.words:
            lines.append(f'            COMPREPLY=($(compgen -W "{" ".join(entry.words)}" -- "$cur"))')
        if entry.names:
            lines.append('            COMPREPLY=($(compgen -W "$(_seatrial_names)" -- "$cur"))')
        if entry.files:
            lines.append('            COMPREPLY=($(compgen -f -- "$cur"))')
        cases.append(f"        {entry.name})\n" + "\n".join(lines) + " ;;")
    return _BASH % {
        "commands": " ".join(entry.name for entry in entries),
        "values": "\n".join(values),
        "cases": "\n".join(cases),
    }


_ZSH = """\
#compdef seatrial kubectl-seatrial
# zsh completion for seatrial; load it with:  source <(seatrial completion zsh)
_seatrial_names() {
    local -a args found
    local i
    for ((i = 2; i < CURRENT; i++)); do
        case "${words[i]}" in
            -n|--namespace|--context|--kubeconfig) args+=("${words[i]}" "${words[i+1]}") ;;
        esac
    done
    found=(${(f)"$(${words[1]} list -o name "${args[@]}" 2>/dev/null)"})
    compadd -a found
}
_seatrial() {
    local command="" i
    for ((i = 2; i < CURRENT; i++)); do
        case "${words[i]}" in
            -n|--namespace|--context|--kubeconfig) ((i++)) ;;
            -*) ;;
            *) command="${words[i]}"; break ;;
        esac
    done
    if [[ -z "$command" ]]; then
        local -a commands
        commands=(
%(commands)s
        )
        _describe command commands
        return
    fi
    case "$command ${words[CURRENT-1]}" in
%(values)s
    esac
    local -a flags
    case "$command" in
%(cases)s
    esac
}
(( $+functions[compdef] )) && compdef _seatrial seatrial kubectl-seatrial
"""


def _zsh(entries: list[Entry]) -> str:
    values, cases = [], []
    for entry in entries:
        for option in entry.options:
            names = "|".join(f'"{entry.name} {flag}"' for flag in option.flags)
            if option.choices:
                values.append(f"        {names}) compadd -- {' '.join(option.choices)}; return ;;")
            elif option.file:
                values.append(f"        {names}) _files; return ;;")
            elif option.takes_value:
                values.append(f"        {names}) return ;;")
        flags = "\n".join(f"                {_quote(f'{o.flags[-1]}:{_colon(o.help)}')}" for o in entry.options)
        lines = [
            "            if [[ ${words[CURRENT]} == -* ]]; then",
            f"                flags=(\n{flags}\n                )",
            "                _describe option flags; return",
            "            fi",
        ]
        if entry.words:
            lines.append(f"            compadd -- {' '.join(entry.words)}")
        if entry.names:
            lines.append("            _seatrial_names")
        if entry.files:
            lines.append("            _files")
        cases.append(f"        {entry.name})\n" + "\n".join(lines) + " ;;")
    return _ZSH % {
        "commands": "\n".join(f"            {_quote(f'{e.name}:{_colon(e.help)}')}" for e in entries),
        "values": "\n".join(values),
        "cases": "\n".join(cases),
    }


def _fish(entries: list[Entry]) -> str:
    out = [
        "# fish completion for seatrial; load it with:  seatrial completion fish | source",
        "function __seatrial_names",
        "    set -l args",
        "    set -l tokens (commandline -opc)",
        "    for i in (seq 2 (count $tokens))",
        "        if contains -- $tokens[$i] -n --namespace --context --kubeconfig",
        "            set args $args $tokens[$i] $tokens[(math $i + 1)]",
        "        end",
        "    end",
        "    $tokens[1] list -o name $args 2>/dev/null",
        "end",
    ]
    for program in ("seatrial", "kubectl-seatrial"):
        out.append(f"complete -c {program} -f")
        for entry in entries:
            out.append(f"complete -c {program} -n __fish_use_subcommand -a {entry.name} -d {_quote(entry.help)}")
            seen = f"-n '__fish_seen_subcommand_from {entry.name}'"
            if entry.words:
                out.append(f"complete -c {program} {seen} -a '{' '.join(entry.words)}'")
            if entry.names:
                out.append(f"complete -c {program} {seen} -a '(__seatrial_names)'")
            if entry.files:
                out.append(f"complete -c {program} {seen} -F")
            for option in entry.options:
                flags = "".join(
                    f" -l {flag[2:]}" if flag.startswith("--") else f" -s {flag[1:]}" for flag in option.flags
                )
                value = (
                    f" -x -a '{' '.join(option.choices)}'" if option.choices else " -r" if option.takes_value else ""
                )
                value = " -r -F" if option.file else value
                out.append(f"complete -c {program} {seen}{flags}{value} -d {_quote(option.help)}")
    return "\n".join(out) + "\n"


def _quote(text: str) -> str:
    return "'" + text.replace("'", r"'\''") + "'"


def _colon(text: str) -> str:
    return text.replace(":", r"\:")
