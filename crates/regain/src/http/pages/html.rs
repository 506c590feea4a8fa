//! Pages put together from markup that is ours and text that is not.
//!
//! Invariant: whatever is not a literal of this program is escaped, since [`Html::raw`] takes nothing else.

use crate::escape::push_html;

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
        text.chars().for_each(|c| push_html(c, &mut self.0));
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
