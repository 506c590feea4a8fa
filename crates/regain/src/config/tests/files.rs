use std::fs;

use super::super::load_file;
use super::*;

fn with_template(template: &[u8]) -> (tempfile::TempDir, Result<Config, String>) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("templates")).unwrap();
    fs::write(folder.path().join("templates/reset.txt"), template).unwrap();
    let file = folder.path().join("regain.toml");
    fs::write(&file, format!("{MAIL}resetActionConfig.textTemplate = {{ file = 'templates/reset.txt' }}\n"))
        .unwrap();
    let config = load_file(&file, &Environment::default()).map_err(|mistakes| mistakes.to_string());
    (folder, config)
}

#[test]
fn a_template_file_is_relative_to_the_configuration() {
    let (folder, config) = with_template(b"%BASE_URL%/r?token=%TOKEN%");
    let config = config.unwrap();
    let template = config.email().unwrap().reset_action_config.text_template.clone().unwrap();
    assert_eq!(template.as_str(), "%BASE_URL%/r?token=%TOKEN%");
    let mistake = template.mistake("is odd").to_string();
    assert!(
        mistake
            .contains("regain.toml:8: authProviders[0].emailHandlerConfig.resetActionConfig.textTemplate (")
    );
    assert!(mistake.ends_with("templates/reset.txt\"): is odd"), "{mistake}");
    assert_eq!(config.data_path, folder.path().join("data"));
}

#[test]
fn a_template_file_that_is_no_text_is_refused() {
    let (_folder, config) = with_template(b"caf\xe9");
    let error = config.map(|_| ()).unwrap_err();
    assert!(error.contains("regain.toml:8: ") && error.contains("reset.txt\" is not UTF-8 text"), "{error}");
    let (_folder, config) = with_template(&vec![b'a'; 300_000]);
    assert!(config.map(|_| ()).unwrap_err().contains("is larger than"));
}

#[test]
fn a_template_file_that_is_missing_or_no_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("regain.toml");
    let of = |file: &str| {
        let text = format!("{MAIL}resetActionConfig.textTemplate.file = '{file}'");
        load(&path, &text, &Environment::default()).map(|_| ()).unwrap_err().to_string()
    };
    assert!(
        of("nothing.txt").contains("nothing.txt\" cannot be read: there is no such file"),
        "{}",
        of("nothing.txt")
    );
    assert!(of(".").contains("is not a file"), "{}", of("."));
    assert!(of("").contains("must be a path"), "{}", of(""));
}

#[test]
fn paths_in_the_file_are_relative_to_it_and_paths_in_variables_are_not() {
    let path = Path::new("/etc/regain/regain.toml");
    let load_text = |text, environment| load(path, text, &environment).unwrap().data_path;
    let load = |environment| load_text("dataPath = 'data'", environment);
    assert_eq!(load(Environment::default()), Path::new("/etc/regain/data"));
    assert_eq!(load_text("", Environment::default()), Path::new("/etc/regain/data"));
    assert_eq!(load(Environment::new([("REGAIN_DATA_PATH", "data")])), Path::new("data"));
}

#[test]
fn a_file_that_cannot_be_read_is_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("regain.toml");
    let of = || load_file(&path, &Environment::default()).map(|_| ()).unwrap_err().to_string();
    assert!(of().contains("regain.toml:1: the file cannot be read: there is no such file"), "{}", of());
    fs::write(&path, b"appName = '\xff'").unwrap();
    assert!(of().contains("not UTF-8"), "{}", of());
}
