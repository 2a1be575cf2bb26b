#compdef NAMES
# Completion for zsh, made by splinter_cli --completions zsh: save it as _splinter_cli in a folder of $fpath.

_splinter() {
    local line
    local -a answer candidates shown
    answer=("${(@f)$($service --complete "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    if [[ $answer[1] == files ]]; then
        [[ $PREFIX != --*=* ]] || compset -P '*='
        _files
        return
    fi
    for line in "${(@)answer[2,-1]}"; do
        candidates+=("${line%%$'\t'*}")
        shown+=("${${line%$'\t'}/$'\t'/  -- }")
    done
    compadd -d shown -a candidates
}

_splinter "$@"
