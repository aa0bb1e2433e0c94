package org.leanclip.core;

import java.util.HashMap;
import java.util.Map;

/** HTML entities and character references, as HTML 5 and as careful menders read them. */
final class HtmlEntities {
    private static final int LONGEST_NAME = 32;
    private static final int LONGEST_CAREFUL = 24;
    private static final String REPLACEMENT = "\ufffd";
    private static final Map<String, String> NAMES = new HashMap<>();
    private static final Map<String, String> SHOUTED = new HashMap<>();

    static {
        for (String line : Resources.lines("entities.txt")) {
            String[] words = line.split(" ");
            String text = Resources.text(words, 1);
            if (words[0].startsWith("^")) {
                SHOUTED.put(words[0].substring(1), text);
            } else {
                NAMES.put(words[0], text);
            }
        }
    }

    private HtmlEntities() {}

    /** Resolves what HTML 5 resolves, names without a semicolon and parts of names too. */
    static String unescape(String text) {
        if (text.indexOf('&') < 0) {
            return text;
        }
        StringBuilder out = new StringBuilder();
        int at = 0;
        while (at < text.length()) {
            int end = text.charAt(at) == '&' ? referenceEnd(text, at + 1) : at;
            if (end > at + 1) {
                out.append(resolved(text.substring(at + 1, end)));
                at = end;
            } else {
                out.append(text.charAt(at++));
            }
        }
        return out.toString();
    }

    /** Resolves whole entities that end with a semicolon, shouted names too, and no others. */
    static String unescapeWhole(String text) {
        StringBuilder out = new StringBuilder();
        int at = 0;
        while (at < text.length()) {
            int end = text.charAt(at) == '&' ? wholeEnd(text, at + 1) : at;
            String found = end > at ? wholeResolved(text.substring(at + 1, end)) : null;
            if (found != null) {
                out.append(found);
                at = end;
            } else {
                out.append(text.charAt(at++));
            }
        }
        return out.toString();
    }

    private static String wholeResolved(String reference) {
        String named = NAMES.get(reference);
        if (named != null || !reference.startsWith("#")) {
            return named != null ? named : SHOUTED.get(reference);
        }
        String numbered = unescape("&" + reference);
        return numbered.indexOf(';') >= 0 ? null : numbered;
    }

    /** Behind {@code #?[0-9A-Za-z]{1,24};} from a place on; the place before it if not there. */
    private static int wholeEnd(String text, int start) {
        int first = start < text.length() && text.charAt(start) == '#' ? start + 1 : start;
        int end = first;
        while (end < text.length() && isAsciiWord(text.charAt(end))) {
            end++;
        }
        boolean whole = end > first && end - first <= LONGEST_CAREFUL;
        return whole && end < text.length() && text.charAt(end) == ';' ? end + 1 : start - 1;
    }

    private static int referenceEnd(String text, int start) {
        if (start < text.length() && text.charAt(start) == '#') {
            boolean hex = start + 1 < text.length() && "xX".indexOf(text.charAt(start + 1)) >= 0;
            int first = hex ? start + 2 : start + 1;
            int end = first;
            while (end < text.length() && isDigit(text.charAt(end), hex)) {
                end++;
            }
            return end == first ? start : behindSemicolon(text, end);
        }
        int end = start;
        for (int count = 0; count < LONGEST_NAME && end < text.length(); count++) {
            if ("\t\n\f <&#;".indexOf(text.charAt(end)) >= 0) {
                break;
            }
            end += Character.charCount(text.codePointAt(end));
        }
        return end == start ? start : behindSemicolon(text, end);
    }

    private static int behindSemicolon(String text, int end) {
        return end < text.length() && text.charAt(end) == ';' ? end + 1 : end;
    }

    private static String resolved(String reference) {
        if (reference.startsWith("#")) {
            return numbered(reference);
        }
        if (NAMES.containsKey(reference)) {
            return NAMES.get(reference);
        }
        for (int length = reference.length() - 1; length > 1; length--) {
            String found = NAMES.get(reference.substring(0, length));
            if (found != null) {
                return found + reference.substring(length);
            }
        }
        return "&" + reference;
    }

    private static String numbered(String reference) {
        boolean hex = "xX".indexOf(reference.charAt(1)) >= 0;
        long code = 0;
        for (int place = hex ? 2 : 1; place < reference.length(); place++) {
            int digit = Character.digit(reference.charAt(place), hex ? 16 : 10);
            if (digit >= 0) {
                code = Math.min(code * (hex ? 16 : 10) + digit, Integer.MAX_VALUE);
            }
        }
        if (code == 0 || (code >= 0xD800 && code <= 0xDFFF) || code > Character.MAX_CODE_POINT) {
            return REPLACEMENT;
        }
        if (code == '\r') {
            return "\r";
        }
        if (code >= 0x80 && code < 0xA0) {
            return CodePage.WINDOWS_1252.decode((int) code);
        }
        return isForbidden((int) code) ? "" : new String(Character.toChars((int) code));
    }

    /** Code points that HTML 5 calls a parse error: controls and those that are no characters. */
    private static boolean isForbidden(int code) {
        boolean control = code < 0x20 && "\t\n\f\r".indexOf(code) < 0;
        return control
                || code == 0x7F
                || (code >= 0xFDD0 && code <= 0xFDEF)
                || (code & 0xFFFE) == 0xFFFE;
    }

    private static boolean isDigit(char value, boolean hex) {
        return (value >= '0' && value <= '9')
                || (hex && ((value >= 'a' && value <= 'f') || (value >= 'A' && value <= 'F')));
    }

    private static boolean isAsciiWord(char value) {
        return isDigit(value, false)
                || (value >= 'a' && value <= 'z')
                || (value >= 'A' && value <= 'Z');
    }
}
