package org.leanclip.core;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Typed fields of a JSON object; what is missing or of another type is named in one line. */
final class Fields {
    private final Map<?, ?> values;
    private final String place;

    /**
     * @param value what should be a JSON object
     * @param place what errors call it, such as {@code bundle.json: preprocessing}
     */
    Fields(Object value, String place) {
        if (!(value instanceof Map)) {
            throw new BundleException(place + " is not a JSON object; export the bundle again");
        }
        this.values = (Map<?, ?>) value;
        this.place = place;
    }

    boolean has(String name) {
        return values.get(name) != null;
    }

    Fields object(String name) {
        return new Fields(values.get(name), place + ": " + name);
    }

    List<Fields> objects(String name) {
        List<Fields> found = new ArrayList<>();
        for (Object value : list(name)) {
            found.add(new Fields(value, place + ": " + name));
        }
        return found;
    }

    String text(String name) {
        return as(String.class, name);
    }

    String text(String name, String otherwise) {
        return has(name) ? text(name) : otherwise;
    }

    /** A text that is one of some words. */
    String word(String name, String otherwise, String... words) {
        String found = text(name, otherwise);
        for (String word : words) {
            if (word.equals(found)) {
                return found;
            }
        }
        throw new BundleException(
                place + ": this app does not know " + name + " " + found + "; update the app");
    }

    boolean flag(String name, boolean otherwise) {
        return has(name) ? as(Boolean.class, name) : otherwise;
    }

    double number(String name) {
        return as(Number.class, name).doubleValue();
    }

    double number(String name, double otherwise) {
        return has(name) ? number(name) : otherwise;
    }

    int whole(String name) {
        Long found = as(Long.class, name);
        if (found < Integer.MIN_VALUE || found > Integer.MAX_VALUE) {
            throw wrong(name);
        }
        return found.intValue();
    }

    long wholeLong(String name) {
        return as(Long.class, name);
    }

    int whole(String name, int otherwise) {
        return has(name) ? whole(name) : otherwise;
    }

    /** Numbers, as many as asked for; {@code count} below 0 takes any number. */
    double[] numbers(String name, int count) {
        List<?> found = list(name);
        if (count >= 0 && found.size() != count) {
            throw wrong(name);
        }
        double[] numbers = new double[found.size()];
        for (int place = 0; place < numbers.length; place++) {
            if (!(found.get(place) instanceof Number)) {
                throw wrong(name);
            }
            numbers[place] = ((Number) found.get(place)).doubleValue();
        }
        return numbers;
    }

    List<?> list(String name) {
        return as(List.class, name);
    }

    Map<?, ?> map(String name) {
        return as(Map.class, name);
    }

    private <T> T as(Class<T> type, String name) {
        Object found = values.get(name);
        if (!type.isInstance(found)) {
            throw wrong(name);
        }
        return type.cast(found);
    }

    private BundleException wrong(String name) {
        String what = has(name) ? " has another type or size than it should" : " is missing";
        return new BundleException(place + ": " + name + what + "; export the bundle again");
    }
}
