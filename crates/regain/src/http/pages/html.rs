//! The one place where text becomes HTML.
//!
//! Invariant: whatever is not a literal of this program is escaped, since [`Html::raw`] takes nothing else.

/// A piece of HTML.
#[derive(Default)]
pub(super) struct Html(String);

impl Html {
    /// Adds markup that is written in the program.
    pub(super) fn raw(mut self, markup: &'static str) -> Self {
        self.0.push_str(markup);
        self
    }

    /// Adds text, fit for an element's content and for a value in double quotes.
    pub(super) fn text(mut self, text: &str) -> Self {
        let mut rest = text;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            let (plain, special) = rest.split_at(at);
            self.0.push_str(plain);
            self.0.push_str(match special.as_bytes().first() {
                Some(b'&') => "&amp;",
                Some(b'<') => "&lt;",
                Some(b'>') => "&gt;",
                Some(b'"') => "&quot;",
                _ => "&#39;",
            });
            rest = special.get(1..).unwrap_or_default();
        }
        self.0.push_str(rest);
        self
    }

    /// Adds another piece.
    pub(super) fn part(mut self, part: Self) -> Self {
        self.0.push_str(&part.0);
        self
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_inert_in_content_and_in_quotes() {
        let html = Html::default().raw("<p title=\"").text("a\"'><script>&é").raw("\">");
        assert_eq!(html.into_string(), "<p title=\"a&quot;&#39;&gt;&lt;script&gt;&amp;é\">");
        assert_eq!(Html::default().text("").text("<<").into_string(), "&lt;&lt;");
    }
}
