import Bytes
import ContainerTesting
import Conversion
import IR
import Kernels
import ModelTesting
import SystemPackage
import Testing

@Suite struct OutputTests {
  @Test(
    "quantized files are the same bytes on any threads and instruction set",
    arguments: ["q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "f16", "int4"])
  func deterministic(recipe: String) throws {
    let scratch = Scratch()
    let opened = try openCase("llama")
    var first: [UInt8]?
    for kernels in Kernels.available {
      for threads in [1, 2, 3] {
        let path = scratch.path.appending("\(kernels.name)-\(threads)")
        try opened.write(to: path, recipe: recipe, kernels: kernels, threads: threads)
        let bytes = try InputFile.contents(of: path, limit: 1 << 30)
        #expect(first == nil || first == bytes, "\(kernels.name), \(threads) threads")
        first = first ?? bytes
      }
    }
  }

  @Test("an existing file is refused unless it may be replaced", arguments: [OutputContainer.gguf, .safetensors])
  func existing(container: OutputContainer) throws {
    let scratch = Scratch()
    let target = scratch.path.appending("m")
    let opened = try openCase("llama")
    try opened.write(to: target, as: container)
    let before = try contents(try open(target))
    #expect(throws: ConversionError.self) { try opened.write(to: target, as: container, recipe: "f32") }
    #expect(try contents(try open(target)) == before)
    try opened.write(to: target, as: container, recipe: "f32", overwrites: true)
    #expect(try open(target).model.tensors.allSatisfy { $0.format == .f32 })
    #expect(FileSystem.names(in: scratch.path) == ["m"])
  }

  @Test("a model may be written over itself", arguments: [OutputContainer.gguf, .safetensors])
  func overItself(container: OutputContainer) throws {
    let scratch = Scratch()
    let target = scratch.path.appending("m")
    try openCase("llama-tied-rope-llama3").write(to: target, as: container)
    if container == .safetensors { _ = try Scratch(under: scratch.path, name: "m").write([1], to: "notes.txt") }
    let original = try open(target)
    let before = try contents(original)
    let recipe = container == .gguf ? "q8_0" : "bf16"
    try original.write(to: target, as: container, recipe: recipe, overwrites: true)
    // The open files still are the old ones.
    #expect(try contents(original) == before)
    let copy = scratch.path.appending("copy")
    try openCase("llama-tied-rope-llama3").write(to: copy, as: container, recipe: recipe)
    #expect(try contents(try open(target)) == contents(try open(copy)))
    if container == .safetensors { #expect(FileSystem.names(in: target).contains("notes.txt")) }
    #expect(FileSystem.names(in: scratch.path) == ["copy", "m"])
  }

  @Test("a directory that holds no model is not replaced, whatever is asked for")
  func foreign() throws {
    let scratch = Scratch()
    let home = Scratch(under: scratch.path, name: "home")
    _ = try home.write([1, 2, 3], to: "letters.txt")
    let opened = try openCase("llama")
    for overwrites in [false, true] {
      #expect(throws: ConversionError.self) {
        try opened.write(to: home.path, as: .safetensors, overwrites: overwrites)
      }
    }
    #expect(FileSystem.names(in: home.path) == ["letters.txt"] && FileSystem.names(in: scratch.path) == ["home"])
    // An empty one is.
    let empty = Scratch(under: scratch.path, name: "empty")
    try opened.write(to: empty.path, as: .safetensors)
    #expect(FileSystem.names(in: empty.path).contains("model.safetensors"))
  }

  @Test("when the last part of a split file cannot be named, no part is")
  func partsTogether() throws {
    let scratch = Scratch()
    let opened = try openCase("llama")
    try opened.write(to: scratch.path.appending("m.gguf"), maximumShardBytes: 100_000)
    let names = FileSystem.names(in: scratch.path)
    let other = Scratch()
    _ = try other.write([1], to: try #require(names.last))
    #expect(throws: ConversionError.self) {
      try opened.write(to: other.path.appending("m.gguf"), maximumShardBytes: 100_000)
    }
    #expect(FileSystem.names(in: other.path) == [try #require(names.last)])
  }

  @Test("the report accounts for every tensor")
  func report() throws {
    let scratch = Scratch()
    let opened = try openCase("llama-tied-rope-llama3")
    let result = try opened.write(to: scratch.path.appending("m.gguf"), recipe: "q8_0")
    #expect(result.match.consumed.count == opened.checkpoint.tensors.count)
    #expect(result.match.missing.isEmpty && result.match.unexpected.isEmpty)
    #expect(result.produced.contains("rope_freqs.weight") && result.produced.count == result.tensors.count + 1)
    #expect(result.fileByteCount == FileSystem.byteCount(of: scratch.path.appending("m.gguf")))
    for tensor in result.tensors where tensor.to == .q8_0 {
      #expect(try #require(tensor.relativeError) < 0.01)
      #expect(try #require(tensor.rootMeanSquareError) > 0)
    }
  }
}
