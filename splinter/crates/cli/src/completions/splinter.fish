# Completion for fish, made by splinter_cli --completions fish: save it into ~/.config/fish/completions/ as
# splinter_cli.fish, and as a file for each of the other names.

function __splinter_complete
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    set -l answer ($words[1] --complete $words[2..] "$last" 2>/dev/null)
    if test "$answer[1]" = files
        set -l joint (string match -r -- '^--[^=]*=' "$last")
        for path in (__fish_complete_path (string replace -- "$joint" '' "$last"))
            echo "$joint$path"
        end
    else
        string join \n -- $answer[2..]
    end
end

for program in NAMES
    complete -c $program -f -a '(__splinter_complete)'
end
