//! How many segments a text takes, counted as the carriers count (rule 14).
//!
//! A text that is all GSM-7 packs 160 septets into one segment or 153 into each of several; any other
//! packs 70 or 67 UTF-16 units. Packing is greedy: what belongs together (an escape and its character, a
//! grapheme such as a flag) is never split, so the count may exceed the division of the length.
//! What the carrier answers stays the truth; this is what a manager sees before sending.

use unicode_segmentation::UnicodeSegmentation;

use crate::words::word_set;

word_set! {
    /// How a text is encoded on the air.
    Encoding, "encoding" {
        /// Seven bits a character; fourteen for those of the extension table.
        Gsm7 = "gsm7",
        /// Sixteen bits a unit; an emoji takes two or more. Strictly UTF-16, under its old name.
        Ucs2 = "ucs2",
    }
}

/// The size of a text on the air.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segments {
    pub encoding: Encoding,
    /// Septets for GSM-7, UTF-16 units for UCS-2, over the whole text.
    pub units: u32,
    /// At least 1, also for an empty text.
    pub segments: u32,
}

struct Capacity {
    alone: usize,
    /// Less by the header that joins the parts again.
    of_several: usize,
}

const GSM7: Capacity = Capacity { alone: 160, of_several: 153 };
const UCS2: Capacity = Capacity { alone: 70, of_several: 67 };

/// Counts the segments of `text` as it is; nothing is replaced or normalised first.
pub fn count_segments(text: &str) -> Segments {
    if let Some(septets) = text.chars().map(septets).collect::<Option<Vec<_>>>() {
        return pack(Encoding::Gsm7, &GSM7, &septets);
    }
    let mut pieces = Vec::with_capacity(text.len());
    for grapheme in text.graphemes(true) {
        let units = grapheme.encode_utf16().count();
        // A line break is two characters to the carriers, and a grapheme that no segment can hold must
        // be split somewhere.
        if grapheme == "\r\n" || units > UCS2.of_several {
            pieces.extend(grapheme.chars().map(char::len_utf16));
        } else {
            pieces.push(units);
        }
    }
    pack(Encoding::Ucs2, &UCS2, &pieces)
}

fn pack(encoding: Encoding, capacity: &Capacity, pieces: &[usize]) -> Segments {
    let units: usize = pieces.iter().sum();
    let mut segments: u32 = 1;
    if units > capacity.alone {
        let mut filled = 0;
        for piece in pieces {
            if filled + piece > capacity.of_several {
                segments = segments.saturating_add(1);
                filled = 0;
            }
            filled += piece;
        }
    }
    Segments { encoding, units: u32::try_from(units).unwrap_or(u32::MAX), segments }
}

/// What the basic alphabet of GSM-7 has beyond ASCII, in the order of its table.
const BASIC_BEYOND_ASCII: &str = "£¥èéùìòÇØøÅåΔΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà";

/// 3GPP TS 23.038: 1 for the basic alphabet, 2 for the extension table, `None` for all else.
fn septets(character: char) -> Option<usize> {
    match character {
        '\n' | '\r' | ' '..='Z' | '_' | 'a'..='z' => Some(1),
        '^' | '{' | '}' | '\\' | '[' | '~' | ']' | '|' | '€' | '\u{c}' => Some(2),
        _ => BASIC_BEYOND_ASCII.contains(character).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segments(text: &str) -> u32 {
        count_segments(text).segments
    }

    /// Checks that `text` and `fits` times `filler` take `segments`, and that one more takes another.
    fn assert_last_that_fits(text: &str, filler: &str, fits: usize, segments_then: u32) {
        let full = format!("{text}{}", filler.repeat(fits));
        assert_eq!(segments(&full), segments_then, "{text} and {fits} times {filler}");
        assert_eq!(segments(&format!("{full}{filler}")), segments_then + 1, "{text} and one more");
    }

    // The vectors of Twilio's own calculator, see CARRIERS §9.
    #[test]
    fn plain_texts_fill_160_alone_and_153_of_several() {
        assert_last_that_fits("", "1", 160, 1);
        assert_last_that_fits("", "1", 306, 2);
        assert_eq!(segments(""), 1);
        assert_eq!(count_segments("").encoding, Encoding::Gsm7);
        assert_eq!(count_segments("").units, 0);
    }

    #[test]
    fn emoji_fill_70_units_alone_and_67_of_several() {
        assert_last_that_fits("😜", "1", 68, 1);
        assert_last_that_fits("😜", "1", 132, 2);
        assert_last_that_fits("🇮🇹", "1", 66, 1);
        assert_last_that_fits("🏳️‍🌈", "1", 64, 1);
        assert_last_that_fits("😀", "]", 68, 1);
    }

    #[test]
    fn a_character_of_the_extension_table_takes_two() {
        for character in ["|", "^", "€", "{", "}", "[", "]", "~", "\\", "\u{c}"] {
            assert_last_that_fits(character, "1", 158, 1);
            assert_eq!(count_segments(character).encoding, Encoding::Gsm7);
            assert_eq!(count_segments(character).units, 2);
        }
    }

    #[test]
    fn accented_letters_that_gsm_lacks_make_the_whole_text_ucs2() {
        for letter in ["ç", "ú", "Á", "í", "ó", "á", "`", "\t", "’", "“"] {
            assert_last_that_fits("", letter, 70, 1);
            assert_eq!(count_segments(letter).encoding, Encoding::Ucs2);
        }
    }

    #[test]
    fn a_line_break_of_two_characters_counts_two() {
        assert_eq!(count_segments("\r\n").units, 2);
        assert_eq!(count_segments("ç\r\n").units, 3);
        let around = "ú".repeat(66);
        assert_eq!(segments(&format!("{around}\r\n{around}")), 2);
    }

    #[test]
    fn an_escape_pair_is_not_split() {
        let (a, b) = ("a".repeat(152), "a".repeat(151));
        assert_eq!(segments(&format!("{a}€{a}")), 3);
        assert_eq!(segments(&format!("a{a}€{b}")), 2);
    }

    #[test]
    fn an_emoji_is_not_split() {
        let around = "ú".repeat(66);
        assert_eq!(segments(&format!("{around}😀{around}")), 3);
        assert_eq!(segments(&"ú".repeat(134)), 2);
        // The two halves of a flag are characters of their own and yet stay together.
        let around = "ú".repeat(65);
        assert_eq!(segments(&format!("{around}🇮🇹{around}")), 3);
    }

    #[test]
    fn a_grapheme_longer_than_a_segment_is_split_between_its_characters() {
        let tower = format!("e{}", "\u{301}".repeat(133));
        assert_eq!(count_segments(&tower), Segments { encoding: Encoding::Ucs2, units: 134, segments: 2 });
    }

    #[test]
    fn the_basic_alphabet_has_127_characters_and_its_extension_10() {
        let of_size = |size| ('\0'..=char::MAX).filter(|character| septets(*character) == Some(size)).count();
        assert_eq!(of_size(1), 127);
        assert_eq!(of_size(2), 10);
    }

    proptest! {
        #[test]
        fn no_text_takes_fewer_segments_than_its_length_divided(text in "[a-z€ú😀🇮🇹\r\n]{0,400}") {
            let counted = count_segments(&text);
            let (alone, of_several) = match counted.encoding {
                Encoding::Gsm7 => (160, 153),
                Encoding::Ucs2 => (70, 67),
            };
            if counted.units <= alone {
                prop_assert_eq!(counted.segments, 1);
            } else {
                prop_assert!(counted.segments >= counted.units.div_ceil(of_several));
            }
        }
    }
}
