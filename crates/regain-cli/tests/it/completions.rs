//! What shells complete after `regain`.

use std::process::Command;

use crate::harness::Place;

#[test]
fn bash_completes_commands_and_options() {
    let place = Place::new();
    place.write("regain.bash", &place.run(&["completions", "bash"]).ok());
    for (words, completed) in [
        (&["regain", "out"][..], &["outbox"][..]),
        (&["regain", "outbox", "ret"], &["retry"]),
        (&["regain", "config", ""], &["--help", "-h", "help", "schema", "show"]),
        (&["regain", "completions", "z"], &["zsh"]),
        (&["regain", "serve", "--conf"], &["--config"]),
    ] {
        // As bash does it: the function that was registered for the command is called with what has been typed.
        let script = r#"
            set -e
            source ./regain.bash
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
            registered=$(complete -p regain)
            function=$(sed -E 's/.* -F ([^ ]+) .*/\1/' <<< "$registered")
            "$function" regain "${!#}" "${@: -2:1}"
            printf '%s\n' "${COMPREPLY[@]}"
        "#;
        let mut bash = Command::new("bash");
        bash.args(["--norc", "--noprofile", "-c", script, "bash"]).args(words);
        let output = bash.current_dir(place.path(".")).output().unwrap();
        let mut printed: Vec<_> = std::str::from_utf8(&output.stdout).unwrap().lines().collect();
        printed.sort_unstable();
        assert_eq!(printed, completed, "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn every_shell_has_its_completions() {
    let place = Place::new();
    for (shell, mark) in [
        ("bash", "complete -F _regain"),
        ("zsh", "#compdef regain"),
        ("fish", "complete -c regain"),
        ("elvish", "edit:completion:arg-completer[regain]"),
        ("powershell", "Register-ArgumentCompleter -Native -CommandName 'regain'"),
    ] {
        let script = place.run(&["completions", shell]).ok();
        assert!(script.contains(mark) && script.contains("outbox"), "{shell}:\n{script}");
    }
    assert_eq!(place.run(&["completions", "tcsh"]).code, Some(2));
}
