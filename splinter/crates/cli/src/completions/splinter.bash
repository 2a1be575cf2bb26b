# Completion for bash, made by splinter_cli --completions bash: load it by source, or put it
# into ~/.local/share/bash-completion/completions/ under each of the program's names.

_splinter() {
    local line=${COMP_LINE:0:COMP_POINT} kind word
    local last=${line##*[[:space:]]} joint=
    local -a typed
    # The line's words, still with their quotes. Bash's own list is cut at colons, which many keys have.
    read -ra typed <<<"${line%"$last"}"
    # Bash replaces only what follows the last colon or equals sign.
    case $last:$COMP_WORDBREAKS in
        *[:=]*:*[:=]*) joint=${last%"${last##*[:=]}"} ;;
    esac
    COMPREPLY=()
    {
        read -r kind
        while IFS=$'\t' read -r word _; do
            printf -v word %q "${word#"$joint"}"
            COMPREPLY+=("$word")
        done
    } < <("$1" --complete "${typed[@]:1}" "$last" 2>/dev/null)
    [ "$kind" != files ] || compopt -o default 2>/dev/null
}

complete -F _splinter NAMES
