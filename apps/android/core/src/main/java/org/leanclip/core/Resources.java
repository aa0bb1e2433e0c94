package org.leanclip.core;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Tables that travel with the core; {@code tables/write_tables.py} makes them. */
final class Resources {
    private Resources() {}

    static List<String> lines(String name) {
        List<String> lines = new ArrayList<>();
        try (InputStream stream = Resources.class.getResourceAsStream(name);
                BufferedReader reader =
                        new BufferedReader(
                                new InputStreamReader(stream, StandardCharsets.US_ASCII))) {
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                lines.add(line);
            }
        } catch (IOException error) {
            throw new IllegalStateException("the app lacks its table " + name, error);
        }
        return lines;
    }

    /** Characters written as hexadecimal code points with spaces between, from a word on. */
    static String text(String[] words, int from) {
        StringBuilder out = new StringBuilder();
        for (int place = from; place < words.length; place++) {
            out.appendCodePoint(Integer.parseInt(words[place], 16));
        }
        return out.toString();
    }
}
