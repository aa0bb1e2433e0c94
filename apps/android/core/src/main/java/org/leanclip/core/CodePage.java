package org.leanclip.core;

import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A code page of one byte a character; bytes that it leaves open stand for themselves. */
final class CodePage {
    /** The pages that UTF-8 is read with by mistake, the likeliest first. */
    static final List<CodePage> LIKELY = new ArrayList<>();

    static final CodePage WINDOWS_1252;

    private static final int SUBSTITUTE = 0x1A;

    static {
        for (String line : Resources.lines("mojibake.txt")) {
            String[] words = line.split(" ");
            if (words[0].equals("page")) {
                LIKELY.add(new CodePage(words[1], Resources.text(words, 2)));
            }
        }
        WINDOWS_1252 = LIKELY.get(1);
    }

    final String name;
    private final char[] characters = new char[256];
    private final Map<Character, Integer> bytes = new HashMap<>();

    private CodePage(String name, String upper) {
        this.name = name;
        for (int code = 0; code < 0x80; code++) {
            characters[code] = (char) code;
        }
        for (int place = 0; place < 0x80; place++) {
            characters[0x80 + place] = upper.charAt(place);
        }
        characters[SUBSTITUTE] = upper.charAt(0x80);
        for (int code = 0; code < 256; code++) {
            bytes.put(characters[code], code);
        }
    }

    /** Whether it lets undefined bytes through and holds U+FFFD in a byte of its own. */
    boolean isSloppy() {
        return name.startsWith("sloppy");
    }

    String decode(int code) {
        return String.valueOf(characters[code]);
    }

    /** The bytes of a text; null if a character is not on this page. */
    byte[] encode(String text) {
        ByteArrayOutputStream out = new ByteArrayOutputStream(text.length());
        for (int place = 0; place < text.length(); place++) {
            Integer code = bytes.get(text.charAt(place));
            if (code == null) {
                return null;
            }
            out.write(code);
        }
        return out.toByteArray();
    }
}
