//! Splits text into chunks of a limited size, at the ends of paragraphs, sentences, lines or words. Independent of stores.

use unicode_segmentation::GraphemeCursor;

/// The smallest limit: any character of UTF-8 has at most four bytes.
pub(crate) const MIN_LIMIT: usize = 4;

/// A place where a chunk may end: what precedes it, and what follows.
type Rule = fn(&str, &str) -> bool;

/// The places where a chunk ends, the best first.
const RULES: [Rule; 5] = [ends_paragraph, ends_sentence, ends_line, ends_word, |_, _| true];

/// Splits text into chunks of at most `limit` bytes, which must be [`MIN_LIMIT`] or more. All chunks together are the
/// text, and none is empty.
///
/// A chunk ends at the best place in its second half: after a paragraph, or else a sentence, a line, a word, or any
/// character as readers see it (a grapheme cluster of Unicode, such as a letter with its accents). A cluster that is
/// longer than that is split between code points.
pub(crate) fn split(text: &str, limit: usize) -> Vec<&str> {
    let mut chunks = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(first_len(rest, limit));
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

/// Returns the length of the first chunk.
fn first_len(text: &str, limit: usize) -> usize {
    if text.len() <= limit {
        return text.len();
    }
    let places = || (limit.div_ceil(2)..=limit).rev().filter(|at| text.is_char_boundary(*at));
    let is_cluster_end = |at: usize| {
        // The text is whole, so the cursor never asks for more of it.
        GraphemeCursor::new(at, text.len(), true).is_boundary(text, 0).unwrap_or(true)
    };
    let best = RULES.iter().find_map(|rule| {
        places().find(|at| {
            let (before, after) = text.split_at(*at);
            rule(before, after) && is_cluster_end(*at)
        })
    });
    let any = || (1..=limit).rev().find(|at| text.is_char_boundary(*at));
    best.or_else(any).unwrap_or(text.len())
}

/// After a blank line, or a paragraph separator.
fn ends_paragraph(before: &str, _: &str) -> bool {
    let Some(line) = before.strip_suffix('\n') else { return before.ends_with('\u{2029}') };
    line.trim_end_matches([' ', '\t', '\r']).ends_with('\n')
}

/// After a full stop and the like, quotes and brackets that close, and blanks. Full stops of Chinese and Japanese need
/// no blank.
fn ends_sentence(before: &str, after: &str) -> bool {
    // The blanks belong to the sentence.
    if after.starts_with(char::is_whitespace) {
        return false;
    }
    let sentence = before.trim_end();
    let is_apart = sentence.len() < before.len();
    // Without a blank in between, what closes the sentence belongs to it, too.
    if !is_apart && after.starts_with(|next| is_closing(next) || is_full_stop(next)) {
        return false;
    }
    let last = sentence.trim_end_matches(is_closing).chars().next_back();
    last.is_some_and(|last| is_wide_full_stop(last) || is_apart && is_full_stop(last))
}

fn ends_line(before: &str, _: &str) -> bool {
    before.ends_with(['\n', '\u{85}', '\u{2028}', '\u{2029}'])
}

/// After a blank, except those that hold words together.
fn ends_word(before: &str, _: &str) -> bool {
    before.ends_with(|last: char| last.is_whitespace() && !matches!(last, '\u{a0}' | '\u{2007}' | '\u{202f}'))
}

fn is_full_stop(char: char) -> bool {
    matches!(char, '.' | '!' | '?' | '\u{2026}') || is_wide_full_stop(char)
}

/// The full stops of Chinese and Japanese.
fn is_wide_full_stop(char: char) -> bool {
    matches!(char, '。' | '！' | '？' | '．' | '｡')
}

/// Quotes and brackets that close.
fn is_closing(char: char) -> bool {
    "\"')]}»›’”」』）］｝】〉》〕｣".contains(char)
}

#[cfg(test)]
mod tests {
    use super::*;
    use splinter_testkit::values::Rng;

    #[test]
    fn a_chunk_ends_at_the_best_place_in_its_second_half() {
        let cases: [(&str, usize, &[&str]); 17] = [
            ("short", 5, &["short"]),
            ("One. Two.\n\nThree four five.", 16, &["One. Two.\n\n", "Three four five."]),
            ("a b c.\r\n\r\nd e f g h i j k", 16, &["a b c.\r\n\r\n", "d e f g h i j k"]),
            ("a b c.\n \t\nd e f g h i j k", 16, &["a b c.\n \t\n", "d e f g h i j k"]),
            ("The end. And on it goes", 12, &["The end. ", "And on it ", "goes"]),
            ("He said \"no!\"  And on", 16, &["He said \"no!\"  ", "And on"]),
            ("It ends (so?) \"And on", 16, &["It ends (so?) ", "\"And on"]),
            ("version 1.2.3 is out now", 16, &["version 1.2.3 ", "is out now"]),
            ("それは。これは「はい！」と", 20, &["それは。", "これは「はい", "！」と"]),
            ("それは。「はい！」とても", 30, &["それは。「はい！」", "とても"]),
            ("line one\nline two is long", 14, &["line one\n", "line two is ", "long"]),
            // The first half of a chunk has no end.
            ("a. bcdefghijklmnop", 12, &["a. bcdefghij", "klmnop"]),
            ("12345 km\u{a0}xyz", 11, &["12345 ", "km\u{a0}xyz"]),
            ("abcdefgh", 4, &["abcd", "efgh"]),
            ("\r\n\r\n\r\n", 5, &["\r\n\r\n", "\r\n"]),
            ("e\u{301}e\u{301}e\u{301}", 4, &["e\u{301}", "e\u{301}", "e\u{301}"]),
            ("", 4, &[]),
        ];
        for (text, limit, chunks) in cases {
            assert_eq!(split(text, limit), chunks, "{text:?}");
        }
    }

    #[test]
    fn what_readers_see_as_one_character_stays_whole_if_it_fits() {
        let family = "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        let flag = "\u{1f1e9}\u{1f1ea}";
        for cluster in
            [family, flag, "a\u{308}\u{323}", "\u{1f44d}\u{1f3fd}", "각", "\u{915}\u{94d}\u{937}\u{93f}"]
        {
            let text = cluster.repeat(50);
            for limit in cluster.len() * 2..cluster.len() * 5 {
                let is_whole = |chunk: &&str| chunk.len().is_multiple_of(cluster.len());
                assert!(split(&text, limit).iter().all(is_whole), "{cluster:?} by {limit}");
            }
            let small: usize = split(&text, MIN_LIMIT).iter().map(|chunk| chunk.len()).sum();
            assert_eq!(small, text.len());
        }
    }

    /// Makes text of everything that a rule looks at.
    fn random_text(rng: &mut Rng) -> String {
        let pieces = [
            "a",
            "word",
            " ",
            "  ",
            "\n",
            "\n\n",
            "\r\n",
            "\r\n \r\n",
            "\r",
            "\t",
            ". ",
            "! ",
            "?\" ",
            ".)",
            "...",
            "\u{2026}",
            "。",
            "！」",
            "？",
            "、",
            "「",
            "漢字",
            "ä",
            "e\u{301}",
            "\u{301}",
            "\u{200d}",
            "\u{1f469}\u{200d}\u{1f467}",
            "\u{1f1e9}",
            "\u{a0}",
            "\u{2028}",
            "\u{2029}",
            "\u{85}",
            "\u{3000}",
            "\0",
            "\u{feff}",
            "\u{10ffff}",
            "\u{fdd0}",
        ];
        // Some texts have few pieces: long runs of the same kind.
        let kinds = 1 + rng.below(pieces.len() as u64);
        let from = rng.below(pieces.len() as u64 - kinds + 1) as usize;
        let few = &pieces[from..][..kinds as usize];
        (0..rng.below(600))
            .map(|_| match rng.below(8) {
                0 => char::from_u32(rng.below(0x11_0000) as u32).unwrap_or('x').to_string(),
                _ => (*rng.pick(few)).to_owned(),
            })
            .collect()
    }

    #[test]
    fn chunks_of_any_text_are_the_text_and_of_the_right_sizes() {
        let mut rng = Rng(0x696e_6765_7374);
        for round in 0..4000 {
            let (text, limit) = (random_text(&mut rng), 4 + rng.below(297) as usize);
            let chunks = split(&text, limit);
            let what = || format!("round {round}, limit {limit}: {text:?}");
            assert_eq!(chunks.concat(), text, "{}", what());
            for pair in chunks.windows(2) {
                let next = pair[1].chars().next().map_or(0, char::len_utf8);
                // Shorter than half of the limit only if the next character has no room.
                let is_long_enough = pair[0].len() * 2 >= limit || pair[0].len() + next > limit;
                assert!(is_long_enough, "{}", what());
            }
            assert!(chunks.iter().all(|chunk| (1..=limit).contains(&chunk.len())), "{}", what());
        }
    }

    #[test]
    fn long_runs_take_no_long_time() {
        for piece in
            [" ", "\n", ".", ". ", ")", "。", "\u{301}", "\u{200d}", "\u{1f1e9}", "\u{1f469}\u{200d}"]
        {
            let text = piece.repeat(400_000 / piece.len());
            assert_eq!(split(&text, 100_000).concat(), text);
        }
    }
}
