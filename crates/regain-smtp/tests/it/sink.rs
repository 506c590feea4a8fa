//! The client against `smtp-sink` of Postfix, a server that we did not write.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::Instant;

use super::*;

/// A running `smtp-sink`; it ends when it is dropped.
struct Sink {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

impl Sink {
    fn start(options: &[&str]) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let folder = tempfile::tempdir().expect("a folder");
        let process = Command::new("/usr/sbin/smtp-sink")
            .args(["-u", "root", "-R"])
            .arg(folder.path())
            .args(["-d", "mail."])
            .args(options)
            .args([&format!("127.0.0.1:{port}"), "100"])
            .spawn()
            .expect("smtp-sink of Debian's package postfix");
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "smtp-sink does not listen");
            std::thread::yield_now();
        }
        Self { process, port, folder }
    }

    fn pool(&self) -> Pool {
        let settings = Settings::parse(&format!("smtp://127.0.0.1:{}", self.port)).expect("valid");
        Pool::start(settings, deadlines(), TrustRoots::System).expect("usable")
    }

    /// The files that it wrote, one a message.
    fn mails(&self) -> Vec<String> {
        let files = std::fs::read_dir(self.folder.path()).expect("the folder");
        files.map(|file| std::fs::read_to_string(file.expect("a file").path()).expect("text")).collect()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postfix_takes_every_message_once() {
    for options in [&[][..], &["-p"], &["-e"]] {
        let sink = Sink::start(options);
        let pool = sink.pool();
        let sending: Vec<_> = (0..100)
            .map(|number| {
                let pool = pool.clone();
                let text = format!("Subject: number {number}.\r\n\r\n.dots\r\n..\r\n");
                tokio::spawn(async move { pool.send(envelope(), message(&text)).await })
            })
            .collect();
        for one in sending {
            one.await.expect("no panic").expect("accepted");
        }
        pool.close(Duration::from_secs(20)).await;
        let mails = sink.mails();
        assert_eq!(mails.len(), 100, "{options:?}");
        for number in 0..100 {
            let found: Vec<_> =
                mails.iter().filter(|mail| mail.contains(&format!("number {number}."))).collect();
            assert_eq!(found.len(), 1);
            assert!(found[0].contains("\n.dots\n..\n"), "{}", found[0]);
        }
    }
}

#[tokio::test]
async fn postfix_refusing_a_recipient_is_told_apart_from_refusing_the_message() {
    for (command, phase) in [("RCPT", regain_smtp::Phase::Rcpt), (".", regain_smtp::Phase::FinalDot)] {
        let sink = Sink::start(&["-f", command]);
        let error = send(&sink.pool()).await.expect_err("refused");
        assert_eq!((error.phase(), error.reply().map(|reply| reply.code())), (phase, Some(500)));
    }
}
