//! Owns the folding of the signature's own header field: lines of at most 78 characters where no single word is longer.

const LONGEST_LINE: usize = 78;

/// A header field under construction.
pub(super) struct Folded {
    text: String,
    name: usize,
    column: usize,
}

impl Folded {
    pub(super) fn new(name: &str) -> Self {
        Self { text: format!("{name}:"), name: name.len(), column: name.len() + 1 }
    }

    /// Appends a word behind a space.
    pub(super) fn word(&mut self, word: &str) {
        self.append(" ", word);
    }

    /// Appends what belongs to the last word, but may stand in a new line.
    pub(super) fn part(&mut self, part: &str) {
        self.append("", part);
    }

    /// Appends a word in a new line.
    pub(super) fn line(&mut self, word: &str) {
        self.column = LONGEST_LINE;
        self.append(" ", word);
    }

    pub(super) fn name(&self) -> &[u8] {
        &self.text.as_bytes()[..self.name]
    }

    /// What stands behind the colon so far.
    pub(super) fn value(&self) -> &[u8] {
        &self.text.as_bytes()[self.name + 1..]
    }

    /// The whole field with this at its end, cut wherever a line is full.
    pub(super) fn ended_with(mut self, base64: &str) -> String {
        for letter in base64.chars() {
            if self.column == LONGEST_LINE {
                self.break_line();
            }
            self.text.push(letter);
            self.column += 1;
        }
        self.text.push_str("\r\n");
        self.text
    }

    fn append(&mut self, gap: &str, piece: &str) {
        if self.column + gap.len() + piece.len() > LONGEST_LINE {
            self.break_line();
        } else {
            self.text.push_str(gap);
            self.column += gap.len();
        }
        self.text.push_str(piece);
        self.column += piece.len();
    }

    fn break_line(&mut self) {
        self.text.push_str("\r\n ");
        self.column = 1;
    }
}
