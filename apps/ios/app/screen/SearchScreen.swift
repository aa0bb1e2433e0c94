import PhotosUI
import SwiftUI

/// The search field, what was found, and the menu.
struct SearchScreen: View {
    @EnvironmentObject private var session: Session
    @State private var sentence = ""
    @State private var picked: PhotosPickerItem?
    @State private var showsSettings = false

    var body: some View {
        NavigationStack {
            content
                .navigationTitle("Photos")
                .toolbar { tools }
                .safeAreaInset(edge: .bottom) { IndexingBar() }
        }
        .searchable(text: $sentence, prompt: "What is on the photo?")
        .onSubmit(of: .search) { Task { await session.search(sentence) } }
        .onChange(of: sentence) { _, now in
            if now.isEmpty { Task { await session.search("") } }
        }
        .onChange(of: picked) { _, item in
            if let item = item { Task { await search(item) } }
        }
        .sheet(isPresented: $showsSettings) { SettingsScreen() }
        .alert("leanclip", isPresented: hasMessage) {
            Button("OK") { session.message = nil }
        } message: {
            Text(session.message ?? "")
        }
        .task { await session.open() }
    }

    @ViewBuilder private var content: some View {
        if session.matches.isEmpty {
            ContentUnavailableView {
                Label(headline, systemImage: "photo.on.rectangle.angled")
            } description: {
                Text("Describe a photo in words, or pick one to find others like it.")
            }
        } else {
            PhotoGrid(matches: session.matches)
        }
    }

    @ToolbarContentBuilder private var tools: some ToolbarContent {
        ToolbarItem(placement: .topBarTrailing) {
            PhotosPicker(selection: $picked, matching: .images) {
                Label("Search by photo", systemImage: "photo.badge.plus")
            }
            .disabled(session.engine == nil)
        }
        ToolbarItem(placement: .topBarTrailing) {
            Button {
                showsSettings = true
            } label: {
                Label("Model and photos", systemImage: "gearshape")
            }
        }
    }

    private var headline: String {
        if session.engine == nil { return "Testing the model" }
        return session.count == 0 ? "No photo is indexed yet" : "\(session.count) photos to search"
    }

    private var hasMessage: Binding<Bool> {
        Binding(
            get: { session.message != nil },
            set: { shown in if !shown { session.message = nil } })
    }

    private func search(_ item: PhotosPickerItem) async {
        picked = nil
        guard let file = try? await item.loadTransferable(type: Data.self) else {
            session.message = "This photo cannot be read."
            return
        }
        await session.search(photo: file)
    }
}
