package org.leanclip.core;

import java.text.Normalizer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** From a sentence as written to the words that byte pairs are made of, as CLIP does it. */
final class Cleaning {
    static final String START = "<start_of_text>";
    static final String END = "<end_of_text>";

    private static final String[] WHOLE = {START, END, "'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
    private static final Map<Integer, String> REPLACED = new HashMap<>();
    private static final int LONG_S = 0x17F;
    private static final int KELVIN = 0x212A;

    static {
        for (String line : Resources.lines("mojibake.txt")) {
            String[] words = line.split(" ");
            if (words[0].equals("ligature")) {
                REPLACED.put(Integer.parseInt(words[1], 16), Resources.text(words, 2));
            }
        }
        REPLACED.put(0x3000, " ");
        for (int code = 0xFF01; code < 0xFFF0; code++) {
            String wide = String.valueOf((char) code);
            String standard = Normalizer.normalize(wide, Normalizer.Form.NFKC);
            if (!standard.equals(wide)) {
                REPLACED.put(code, standard);
            }
        }
    }

    private Cleaning() {}

    /** Mends encoding errors, resolves HTML entities, folds white space, lowers the case. */
    static String clean(String sentence, boolean lowerCase) {
        String mended = isPlain(sentence) ? sentence : unescapeTwice(mend(sentence));
        String folded = fold(mended);
        return lowerCase ? UnicodeTables.lower(folded) : folded;
    }

    /** Words, contractions, single digits, runs of other signs, and the special tokens. */
    static List<String> words(String cleaned) {
        List<String> words = new ArrayList<>();
        int at = 0;
        while (at < cleaned.length()) {
            int end = wordEnd(cleaned, at);
            if (end > at) {
                words.add(cleaned.substring(at, end));
                at = end;
            } else {
                at += Character.charCount(cleaned.codePointAt(at));
            }
        }
        return words;
    }

    private static int wordEnd(String text, int at) {
        for (String whole : WHOLE) {
            if (startsWith(text, at, whole)) {
                return at + whole.length();
            }
        }
        int first = kind(text.codePointAt(at));
        int end = at;
        while (end < text.length() && first != 0) {
            int code = text.codePointAt(end);
            if (kind(code) != first) {
                break;
            }
            end += Character.charCount(code);
            if (first == 2) {
                break;
            }
        }
        return end;
    }

    /** 0 between words, 1 letter, 2 number, 3 any other sign. */
    private static int kind(int code) {
        if (UnicodeTables.isLetter(code)) {
            return 1;
        }
        if (UnicodeTables.isNumber(code)) {
            return 2;
        }
        return UnicodeTables.isBetween(code) ? 0 : 3;
    }

    private static boolean startsWith(String text, int at, String word) {
        if (at + word.length() > text.length()) {
            return false;
        }
        for (int place = 0; place < word.length(); place++) {
            if (folded(text.charAt(at + place)) != word.charAt(place)) {
                return false;
            }
        }
        return true;
    }

    /** Without case; two signs beyond ASCII count as letters of it. */
    private static int folded(int code) {
        if (code >= 'A' && code <= 'Z') {
            return code + 'a' - 'A';
        }
        return code == LONG_S ? 's' : code == KELVIN ? 'k' : code;
    }

    /** No ampersand and no control sign but white space: nothing that mending would change. */
    private static boolean isPlain(String sentence) {
        for (int place = 0; place < sentence.length(); place++) {
            char next = sentence.charAt(place);
            boolean space = next == '\t' || next == '\n' || next == '\r';
            if (next == '&' || next > '~' || (next < ' ' && !space)) {
                return false;
            }
        }
        return true;
    }

    private static String unescapeTwice(String text) {
        return HtmlEntities.unescape(HtmlEntities.unescape(text));
    }

    /** As ftfy mends: line by line, each until nothing changes any more. */
    private static String mend(String text) {
        StringBuilder out = new StringBuilder();
        boolean html = true;
        int at = 0;
        while (at < text.length()) {
            int end = text.indexOf('\n', at) + 1;
            String line = text.substring(at, end == 0 ? text.length() : end);
            html = html && line.indexOf('<') < 0;
            out.append(mendLine(line, html));
            at += line.length();
        }
        return out.toString();
    }

    private static String mendLine(String line, boolean html) {
        String before;
        do {
            before = line;
            if (html) {
                line = HtmlEntities.unescapeWhole(line);
            }
            line = Mojibake.mendControls(Mojibake.mend(line));
            line = replaceSigns(line).replace("\r\n", "\n").replace('\r', '\n');
            line = dropControls(dropTerminalEscapes(line));
            line = Normalizer.normalize(line, Normalizer.Form.NFC);
        } while (!line.equals(before));
        return line;
    }

    /** Ligatures, wide and narrow forms, curly quotes, odd line breaks, lone surrogates. */
    private static String replaceSigns(String line) {
        StringBuilder out = new StringBuilder(line.length());
        for (int code : UnicodeTables.codePoints(line)) {
            String replaced = REPLACED.get(code);
            if (replaced != null) {
                out.append(replaced);
            } else if (code == 0x2BC || (code >= 0x2018 && code <= 0x201B)) {
                out.append('\'');
            } else if (code >= 0x201C && code <= 0x201F) {
                out.append('"');
            } else if (code == 0x2028 || code == 0x2029 || code == 0x85) {
                out.append('\n');
            } else if (code >= 0xD800 && code <= 0xDFFF) {
                out.append('\ufffd');
            } else {
                out.appendCodePoint(code);
            }
        }
        return out.toString();
    }

    /** Removes sequences such as those that colour a terminal. */
    private static String dropTerminalEscapes(String line) {
        StringBuilder out = new StringBuilder(line.length());
        int at = 0;
        while (at < line.length()) {
            int end = escapeEnd(line, at);
            if (end > at) {
                at = end;
            } else {
                out.append(line.charAt(at++));
            }
        }
        return out.toString();
    }

    private static int escapeEnd(String line, int at) {
        if (!line.startsWith("\u001b[", at)) {
            return at;
        }
        int end = at + 2;
        while (end < line.length() && isDigitOrSemicolon(line.codePointAt(end))) {
            end += Character.charCount(line.codePointAt(end));
        }
        char last = end < line.length() ? line.charAt(end) : ' ';
        boolean letter = (last >= 'a' && last <= 'z') || (last >= 'A' && last <= 'Z');
        return letter ? end + 1 : at;
    }

    private static boolean isDigitOrSemicolon(int code) {
        return code == ';' || Character.getType(code) == Character.DECIMAL_DIGIT_NUMBER;
    }

    private static String dropControls(String line) {
        StringBuilder out = new StringBuilder(line.length());
        for (int place = 0; place < line.length(); place++) {
            char next = line.charAt(place);
            boolean dropped =
                    (next < ' ' && "\t\n\f\r".indexOf(next) < 0)
                            || next == 0x7F
                            || (next >= 0x206A && next <= 0x206F)
                            || next == 0xFEFF
                            || (next >= 0xFFF9 && next <= 0xFFFC);
            if (!dropped) {
                out.append(next);
            }
        }
        return out.toString();
    }

    private static String fold(String text) {
        StringBuilder out = new StringBuilder(text.length());
        boolean space = false;
        for (int code : UnicodeTables.codePoints(text)) {
            if (UnicodeTables.isSpace(code)) {
                space = out.length() > 0;
            } else {
                out.append(space ? " " : "").appendCodePoint(code);
                space = false;
            }
        }
        return out.toString();
    }
}
