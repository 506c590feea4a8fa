//! `regain init`: the files that an installation begins with. Overwrites nothing.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use regain::config::EXAMPLE;
use regain::mail::DefaultTexts;
use regain::mail::templates::{CHANGED, CONFIRM, RESET};

use crate::output;
use crate::settings::DEFAULT_FILES;

/// Write a commented configuration, the texts of the mails, and a .gitignore.
///
/// The configuration names every setting with its default; the texts are used once the configuration's lines about
/// them are no longer comments. Files that exist are never overwritten.
#[derive(Args)]
#[command(
    after_help = "Example:\n  regain init my-app && cd my-app\n  # fill in connectionString and from\n  \
    regain check && regain mail test you@example.org && regain serve"
)]
pub(crate) struct Init {
    /// The directory to write into; it is made where it is missing
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

/// The mails: the key of their configuration, the name of their files, their texts.
const MAILS: [(&str, &str, DefaultTexts); 3] = [
    ("resetActionConfig", "reset", RESET),
    ("confirmActionConfig", "confirm", CONFIRM),
    ("changedActionConfig", "changed", CHANGED),
];

const GITIGNORE: &str = "\
# The database and the keys.
data/
regain-data/

# Secrets. regain.toml can take them from the environment: smtp://user:%%SMTP_PASSWORD%%@host
.env
*.key
*.pem
";

impl Init {
    pub(crate) fn run(&self) -> Result<()> {
        let files = files();
        let there: Vec<&str> = files
            .iter()
            .map(|file| file.path.as_str())
            // A second configuration beside one in another format would leave open which counts.
            .chain(DEFAULT_FILES.into_iter().filter(|name| !files.iter().any(|file| file.path == *name)))
            // A dangling link counts as there, too.
            .filter(|path| fs::symlink_metadata(self.directory.join(path)).is_ok())
            .collect();
        if !there.is_empty() {
            bail!("{} already has {}: nothing was written", self.directory.display(), there.join(", "));
        }
        fs::create_dir_all(self.directory.join("templates"))
            .with_context(|| format!("cannot make {}", self.directory.display()))?;
        for file in &files {
            file.write_into(&self.directory)?;
        }
        Ok(output::say(&self.next_steps(&files))?)
    }

    fn next_steps(&self, files: &[NewFile]) -> String {
        let list: Vec<String> =
            files.iter().map(|file| format!("  {}", self.directory.join(&file.path).display())).collect();
        format!(
            "Wrote\n{}\n\nNext:\n  1. In {}, write your relay into connectionString and your address into from.\n  \
             2. cd {}\n  3. regain check    finds what is wrong before your users do\n  \
             4. regain mail test YOUR-ADDRESS    sends a mail and shows each step\n  5. regain serve",
            list.join("\n"),
            self.directory.join("regain.toml").display(),
            self.directory.display(),
        )
    }
}

struct NewFile {
    path: String,
    text: String,
    mode: u32,
}

impl NewFile {
    fn write_into(&self, directory: &Path) -> Result<()> {
        let path = directory.join(&self.path);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(self.mode);
        let written = options.open(&path).and_then(|mut file| file.write_all(self.text.as_bytes()));
        written.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => anyhow::anyhow!("{} already exists", path.display()),
            _ => anyhow::Error::new(error).context(format!("cannot write {}", path.display())),
        })
    }
}

fn files() -> Vec<NewFile> {
    // The configuration will hold the relay's password, so it is its owner's from the first moment.
    let mut files = vec![NewFile { path: "regain.toml".to_owned(), text: configuration(), mode: 0o600 }];
    for (_, name, texts) in MAILS {
        for (ending, text) in [("txt", texts.text), ("html", texts.html)] {
            files.push(NewFile {
                path: format!("templates/{name}.{ending}"),
                text: text.to_owned(),
                mode: 0o644,
            });
        }
    }
    files.push(NewFile { path: ".gitignore".to_owned(), text: GITIGNORE.to_owned(), mode: 0o644 });
    files
}

/// The commented example, with the template files behind each mail's header.
fn configuration() -> String {
    let mut text = EXAMPLE.to_owned();
    for (key, name, _) in MAILS {
        let header = format!("[authProviders.emailHandlerConfig.{key}]\n");
        let with_files = format!(
            "{header}# textTemplate = {{ file = \"templates/{name}.txt\" }}\n\
             # htmlTemplate = {{ file = \"templates/{name}.html\" }}\n"
        );
        text = text.replacen(&header, &with_files, 1);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use regain::config::{Environment, load};

    use super::*;

    #[test]
    fn the_configuration_loads_also_with_its_template_lines_in_force() {
        let directory = tempfile::tempdir().unwrap();
        Init { directory: directory.path().to_owned() }.run().unwrap();
        let environment = Environment::new::<String, String>([]);
        let path = directory.path().join("regain.toml");
        let written = fs::read_to_string(&path).unwrap();
        let in_force = written
            .replace("# textTemplate = {", "textTemplate = {")
            .replace("# htmlTemplate = {", "htmlTemplate = {");
        assert_eq!(in_force.matches("\ntextTemplate = {").count(), 3);
        for text in [written, in_force] {
            load(&path, &text, &environment).unwrap();
        }
    }

    #[test]
    fn each_file_is_written_once_and_the_configuration_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let init = Init { directory: directory.path().join("a/b") };
        init.run().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&init.directory.join("regain.toml")), 0o600);
        fs::remove_file(init.directory.join("regain.toml")).unwrap();
        let refused = init.run().unwrap_err().to_string();
        assert!(
            refused.contains("templates/reset.txt") && refused.contains("nothing was written"),
            "{refused}"
        );
        assert!(!init.directory.join("regain.toml").exists());
        let other = Init { directory: directory.path().join("other") };
        fs::create_dir(&other.directory).unwrap();
        fs::write(other.directory.join("regain.yaml"), "").unwrap();
        assert!(other.run().unwrap_err().to_string().contains("already has regain.yaml"));
        assert_eq!(fs::read_dir(&other.directory).unwrap().count(), 1);
    }
}
