package org.leanclip.core;

import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;

/** A bundle folder: what {@code bundle.json} says, and its files once their hash was checked. */
public final class Bundle {
    public static final String MANIFEST = "bundle.json";
    /** The newest bundle format that this core reads. */
    public static final int FORMAT = 1;

    public final File folder;
    public final String name;
    public final int embeddingDim;
    /** Names the embedding space: vectors of different fingerprints are never compared. */
    public final String fingerprint;
    public final Preprocessing preprocessing;
    public final TextSpec text;
    public final List<TowerFile> files;

    /** Null in bundles that were written before it was recorded. */
    private final String goldenSha256;

    private Bundle(File folder, Fields fields) {
        this.folder = folder;
        name = fields.text("name");
        embeddingDim = fields.whole("embedding_dim");
        fingerprint = fields.text("fingerprint");
        preprocessing = new Preprocessing(fields.object("preprocessing"));
        text = new TextSpec(fields.object("text"));
        goldenSha256 = fields.text("golden_sha256", null);
        List<TowerFile> found = new ArrayList<>();
        for (Fields file : fields.objects("files")) {
            found.add(new TowerFile(file, preprocessing));
        }
        files = Collections.unmodifiableList(found);
        if (embeddingDim < 1) {
            throw new BundleException(MANIFEST + ": embedding_dim must be positive");
        }
    }

    /**
     * Reads {@code bundle.json} without touching the large files that it names.
     *
     * @throws BundleException it is missing, malformed or of a newer format.
     */
    public static Bundle read(File folder) {
        File manifest = new File(folder, MANIFEST);
        Fields fields = new Fields(parsed(manifest), MANIFEST);
        int format = fields.whole("format", FORMAT);
        if (format > FORMAT) {
            throw new BundleException(
                    manifest + " has format " + format + ", this app reads up to " + FORMAT
                            + ": update the app");
        }
        return new Bundle(folder, fields);
    }

    /**
     * Files of one tower that a runtime here can read, the recommended first, then the smallest.
     *
     * @param formats the formats that there is a runtime for
     */
    public List<TowerFile> candidates(String tower, List<String> formats) {
        List<TowerFile> found = new ArrayList<>();
        for (TowerFile file : files) {
            if (file.tower.equals(tower) && formats.contains(file.format)) {
                found.add(file);
            }
        }
        if (found.isEmpty()) {
            throw new BundleException(
                    "bundle " + name + " has no " + tower + " tower as " + join(formats)
                            + ": export it again with --to onnx or --to litert");
        }
        // The sort is stable: files of equal size stay in the manifest's order.
        Collections.sort(
                found,
                Comparator.comparing((TowerFile file) -> !file.recommended)
                        .thenComparing(file -> file.bytes));
        return found;
    }

    /**
     * A tower file whose bytes were found right.
     *
     * @throws BundleException it is missing, damaged or lies outside the bundle.
     */
    public File checked(TowerFile file) {
        return checked(file.file, file.sha256);
    }

    /** The vocabulary file whose bytes were found right; throws as {@link #checked}. */
    public File checkedVocabulary() {
        return checked(text.vocabularyFile, text.vocabularySha256);
    }

    /** The golden file, whose bytes were found right if its hash is known; throws likewise. */
    public File checkedGolden() {
        return checked(Golden.FILE, goldenSha256);
    }

    private File checked(String name, String sha256) {
        File file = new File(folder, name);
        try {
            String root = folder.getCanonicalPath() + File.separator;
            if (!file.getCanonicalPath().startsWith(root)) {
                throw new BundleException(
                        MANIFEST + " names " + name + ", which lies outside the bundle");
            }
            if (!file.isFile()) {
                throw new BundleException(file + " is missing; copy the bundle again");
            }
            if (sha256 != null && !Sha256.of(file).equals(sha256)) {
                throw new BundleException(
                        file + " is damaged: its SHA-256 is not the one in " + MANIFEST
                                + "; copy the bundle again");
            }
            return file;
        } catch (IOException error) {
            throw new BundleException(file + " cannot be read: " + error.getMessage(), error);
        }
    }

    static Object parsed(File file) {
        try {
            return Json.parse(
                    new String(Files.readAllBytes(file.toPath()), StandardCharsets.UTF_8));
        } catch (IOException error) {
            throw new BundleException(
                    file + " cannot be read; copy the whole bundle again", error);
        } catch (IllegalArgumentException error) {
            throw new BundleException(file + " is damaged: " + error.getMessage(), error);
        }
    }

    private static String join(List<String> words) {
        StringBuilder out = new StringBuilder();
        for (String word : words) {
            out.append(out.length() == 0 ? "" : " or ").append(word);
        }
        return out.toString();
    }
}
