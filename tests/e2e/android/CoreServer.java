package org.leanclip.core;

import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Answers questions of the tests about the core: one JSON object a line in and out.
 *
 * <p>Towers and decoders are the tests': while it answers, it asks back with a line that holds
 * {@code ask}, and reads the reply.
 */
public final class CoreServer implements GoldenCheck.Decoder, TowerChoice.Runtimes, Probe.Phone {
    private final BufferedReader questions =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
    private final PrintStream answers = System.out;
    private Bundle bundle;
    private Preprocessor preprocessor;
    private PhotoIndex index;
    private Map<String, Object> facts;

    public static void main(String[] arguments) throws IOException {
        new CoreServer().serve();
    }

    private void serve() throws IOException {
        for (String line = questions.readLine(); line != null; line = questions.readLine()) {
            Map<String, Object> answer = new LinkedHashMap<>();
            try {
                answer.put("answer", answer(new Fields(Json.parse(line), "the question")));
            } catch (BundleException error) {
                answer.put("refused", error.getMessage());
            } catch (Exception error) {
                answer.put("error", error.toString());
            }
            say(answer);
        }
    }

    private Object answer(Fields asked) throws Exception {
        switch (asked.text("do")) {
            case "json":
                return Json.parse(asked.text("text"));
            case "bundle":
                bundle = Bundle.read(new File(asked.text("folder")));
                preprocessor = new Preprocessor(bundle.preprocessing);
                return bundle.name;
            case "checked":
                return bundle.checked(named(asked.text("file"))).getPath();
            case "candidates":
                return candidates(asked);
            case "tokens":
                return tokens(asked.list("sentences"));
            case "preprocessing":
                preprocessor = new Preprocessor(new Preprocessing(asked.object("spec")));
                return null;
            case "pixels":
                return encoded(pixels(asked));
            case "input":
                return input(asked);
            case "halves":
                return halves(asked.numbers("numbers", -1));
            case "choose":
                return choose(asked);
            case "timing":
                return ProbeStatistics.timing(
                        asked.numbers("milliseconds", -1), asked.whole("warm_ups"), 1, 2, 3);
            case "sustained":
                return sustained(asked.numbers("starts", -1), asked.numbers("milliseconds", -1));
            case "probe":
                return probe(asked);
            default:
                return aboutIndex(asked);
        }
    }

    private Object aboutIndex(Fields asked) throws IOException {
        switch (asked.text("do")) {
            case "open":
                index = new PhotoIndex(new File(asked.text("folder")), asked.whole("dim"));
                return index.size();
            case "add":
                double[] numbers = asked.numbers("vector", -1);
                float[] vector = new float[numbers.length];
                for (int place = 0; place < vector.length; place++) {
                    vector[place] = (float) numbers[place];
                }
                index.add(asked.whole("id"), asked.whole("modified"), asked.whole("size"), vector);
                return null;
            case "unreadable":
                index.addUnreadable(
                        asked.whole("id"), asked.whole("modified"), asked.whole("size"),
                        asked.text("reason"));
                return null;
            case "keep":
                Set<Long> present = new HashSet<>();
                for (double id : asked.numbers("ids", -1)) {
                    present.add((long) id);
                }
                return index.keepOnly(present);
            case "knows":
                return index.knows(
                        asked.whole("id"), asked.whole("modified"), asked.whole("size"));
            case "commit":
                index.commit();
                return null;
            case "compact":
                index.compact();
                return null;
            case "compact if worthwhile":
                return index.compactIfWorthwhile();
            case "state":
                return state();
            case "vector":
                return list(index.vector(asked.whole("id")));
            case "search":
                return search(asked);
            default:
                throw new IllegalArgumentException(asked.text("do"));
        }
    }

    private Object state() {
        Map<String, Object> state = new LinkedHashMap<>();
        state.put("size", index.size());
        state.put("tombstones", index.tombstones());
        Map<String, Object> unreadable = new LinkedHashMap<>();
        for (Map.Entry<Long, String> entry : index.unreadable().entrySet()) {
            unreadable.put(String.valueOf(entry.getKey()), entry.getValue());
        }
        state.put("unreadable", unreadable);
        return state;
    }

    private Object search(Fields asked) throws IOException {
        double[] numbers = asked.numbers("query", -1);
        float[] query = new float[numbers.length];
        for (int place = 0; place < query.length; place++) {
            query[place] = (float) numbers[place];
        }
        List<Object> found = new ArrayList<>();
        for (PhotoIndex.Match match : index.search(query, asked.whole("top"))) {
            found.add(Arrays.<Object>asList(match.id, (double) match.score));
        }
        return found;
    }

    private Object candidates(Fields asked) {
        List<String> formats = new ArrayList<>();
        for (Object format : asked.list("formats")) {
            formats.add((String) format);
        }
        List<Object> names = new ArrayList<>();
        for (TowerFile file : bundle.candidates(asked.text("tower"), formats)) {
            names.add(file.file);
        }
        return names;
    }

    private Object tokens(List<?> sentences) {
        Tokenizer tokenizer = new Tokenizer(bundle);
        List<Object> rows = new ArrayList<>();
        for (Object sentence : sentences) {
            List<Object> row = new ArrayList<>();
            for (int id : tokenizer.encode((String) sentence)) {
                row.add(id);
            }
            rows.add(row);
        }
        return rows;
    }

    private byte[] pixels(Fields asked) {
        PixelRows photo = new Photo(asked);
        return preprocessor.pixels(
                photo,
                asked.number("filled_width", photo.width()),
                asked.number("filled_height", photo.height()),
                asked.whole("orientation", 1));
    }

    private Object input(Fields asked) {
        TowerFile file = named(asked.text("file"));
        byte[] rgb = Golden.pattern(bundle.preprocessing.size);
        ByteBuffer input = TowerInput.ofPixels(rgb, file, bundle.preprocessing);
        byte[] bytes = new byte[input.remaining()];
        input.get(bytes);
        Map<String, Object> answer = new LinkedHashMap<>();
        answer.put("bytes", encoded(bytes));
        List<Object> shape = new ArrayList<>();
        for (long side : TowerInput.shapeOfPixels(file, bundle.preprocessing)) {
            shape.add(side);
        }
        answer.put("shape", shape);
        return answer;
    }

    private Object halves(double[] numbers) {
        List<Object> found = new ArrayList<>();
        for (double number : numbers) {
            short half = Half.of((float) number);
            found.add(Arrays.<Object>asList(half & 0xFFFF, String.valueOf(Half.toFloat(half))));
        }
        return found;
    }

    private Object sustained(double[] starts, double[] milliseconds) {
        List<ProbeStatistics.Call> calls = new ArrayList<>();
        for (int place = 0; place < starts.length; place++) {
            calls.add(new ProbeStatistics.Call(starts[place], milliseconds[place]));
        }
        return ProbeStatistics.sustained(calls);
    }

    private Object choose(Fields asked) throws IOException {
        File file = new File(asked.text("quarantine"));
        TowerChoice.Check check = GoldenCheck.of(bundle, new Tokenizer(bundle), this);
        TowerChoice choice =
                TowerChoice.of(
                        bundle,
                        bundle.candidates(asked.text("tower"), Arrays.asList("onnx", "litert")),
                        this,
                        check,
                        new Quarantine(file, asked.text("environment")));
        choice.tower.close();
        Map<String, Object> answer = choice.golden.toJson();
        answer.put("file", choice.file.file);
        answer.put("delegate", choice.delegate);
        answer.put("before", choice.failures);
        return answer;
    }

    private Object probe(Fields asked) {
        ProbeJob job = ProbeJob.read(new File(asked.text("folder")));
        bundle = job.bundle;
        preprocessor = new Preprocessor(bundle.preprocessing);
        facts = new LinkedHashMap<>();
        for (Map.Entry<?, ?> entry : asked.map("facts").entrySet()) {
            facts.put((String) entry.getKey(), entry.getValue());
        }
        TowerChoice.Check check = GoldenCheck.of(bundle, new Tokenizer(bundle), this);
        return new Probe(job, this, this, check).run("0.1.0", what -> {});
    }

    private TowerFile named(String name) {
        for (TowerFile file : bundle.files) {
            if (file.file.equals(name)) {
                return file;
            }
        }
        throw new IllegalArgumentException(name);
    }

    @Override
    public byte[] decode(byte[] file) throws IOException {
        Map<String, Object> question = new LinkedHashMap<>();
        question.put("ask", "decode");
        question.put("jpeg", encoded(file));
        return pixels(new Fields(ask(question), "the photo"));
    }

    @Override
    public List<String> delegates(String format) {
        return Arrays.asList("GPU", "CPU");
    }

    @Override
    public TowerChoice.Loaded load(TowerFile file, File path, String delegate)
            throws IOException {
        Map<String, Object> question = new LinkedHashMap<>();
        question.put("ask", "load");
        question.put("file", file.file);
        question.put("delegate", delegate);
        new Fields(ask(question), "the load").text("loaded");
        return new Asked(file, delegate);
    }

    private final class Asked implements TowerChoice.Loaded {
        private final TowerFile file;
        private final String delegate;

        Asked(TowerFile file, String delegate) {
            this.file = file;
            this.delegate = delegate;
        }

        @Override
        public float[] run(ByteBuffer input) throws IOException {
            byte[] bytes = new byte[input.remaining()];
            input.duplicate().get(bytes);
            Map<String, Object> question = new LinkedHashMap<>();
            question.put("ask", "run");
            question.put("file", file.file);
            question.put("delegate", delegate);
            question.put("input", encoded(bytes));
            double[] found =
                    new Fields(ask(question), "the embedding").numbers("embedding", -1);
            float[] embedding = new float[found.length];
            for (int place = 0; place < found.length; place++) {
                embedding[place] = (float) found[place];
            }
            return embedding;
        }

        @Override
        public void close() {}
    }

    @Override
    @SuppressWarnings("unchecked")
    public Map<String, Object> device() {
        return (Map<String, Object>) facts.get("device");
    }

    @Override
    @SuppressWarnings("unchecked")
    public Map<String, Object> system() {
        return (Map<String, Object>) facts.get("system");
    }

    @Override
    public Map<String, Object> runtime(String format) {
        Map<String, Object> runtime = new LinkedHashMap<>();
        runtime.put("name", format);
        runtime.put("version", "1");
        return runtime;
    }

    @Override
    public String delegate(String format) {
        return TowerChoice.CPU;
    }

    @Override
    public String thermal() {
        return (String) facts.get("thermal");
    }

    @Override
    public Long peakMemory() {
        return 1_000_000L;
    }

    @Override
    public String now() {
        return "2026-11-21T12:00:00+01:00";
    }

    private Object ask(Map<String, Object> question) throws IOException {
        say(question);
        return Json.parse(questions.readLine());
    }

    private void say(Map<String, Object> line) {
        answers.println(Json.write(line));
        answers.flush();
    }

    private static Object list(float[] vector) {
        if (vector == null) {
            return null;
        }
        List<Object> found = new ArrayList<>();
        for (float value : vector) {
            found.add((double) value);
        }
        return found;
    }

    private static String encoded(byte[] bytes) {
        return Base64.getEncoder().encodeToString(bytes);
    }

    /** A photo whose pixels a question holds: width, height and argb, big-endian. */
    private static final class Photo implements PixelRows {
        private final int width;
        private final int height;
        private final ByteBuffer argb;

        Photo(Fields asked) {
            width = asked.whole("width");
            height = asked.whole("height");
            argb =
                    ByteBuffer.wrap(Base64.getDecoder().decode(asked.text("argb")))
                            .order(ByteOrder.BIG_ENDIAN);
        }

        @Override
        public int width() {
            return width;
        }

        @Override
        public int height() {
            return height;
        }

        @Override
        public void read(int row, int[] out) {
            for (int column = 0; column < width; column++) {
                out[column] = argb.getInt(4 * (row * width + column));
            }
        }
    }
}
