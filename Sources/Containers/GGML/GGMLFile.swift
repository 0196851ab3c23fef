//  llama.cpp before GGUF
//    magic "ggml" | "ggmf" version 1 | "ggjt" version 1–3 (as u32, so reversed in the file)
//    hyperparameters: i32 n_vocab, n_embd, n_mult, n_head, n_layer, n_rot, ftype
//    vocabulary: length: u32, bytes [, score: f32 unless "ggml"]
//    tensor: i32 axes, name length, type, dimensions innermost first │ name │ ggjt: zeros to 32 │ blocks
//  chatglm.cpp
//    "ggml" (in order), i32 model type, i32 version, configuration, i32 length, tokenizer
//    tensor: i32 name length, name, i32 axes, dimensions outermost first, i32 type │ zeros to 16 │ blocks

public import Bytes
public import IR
public import SystemPackage

/// Files of llama.cpp's and chatglm.cpp's before GGUF. Blocks of versions whose layout has changed since are decoded.
public struct GGMLFile: Sendable {
  public let contents: ContainerContents

  public static func recognizes(_ head: [UInt8]) -> Bool {
    head.count >= 12 && ["lmgg", "fmgg", "tjgg", "ggml"].contains { head.starts(with: Array($0.utf8)) }
  }

  public init(_ path: FilePath, limits: Limits = Limits()) throws(ContainerError) {
    let file: InputFile
    do throws(FileError) { file = try InputFile(path) } catch { throw .file(error) }
    var parser = GGMLParser(file, limits: limits)
    do throws(FileError) { try parser.parse() } catch { throw .file(error) }
    if let fault = parser.fault { throw fault }
    contents = ContainerContents(
      tensors: parser.tensors, metadata: parser.metadata, fileByteCount: file.byteCount, notes: parser.notes)
  }
}

struct GGMLParser {
  private let file: InputFile
  private let limits: Limits
  private var cursor: FileCursor
  private(set) var fault: ContainerError?
  private(set) var tensors: [TensorRef] = []
  private(set) var metadata = Metadata()
  private(set) var notes: [String] = []
  private var names: Set<ByteString> = []

  init(_ file: InputFile, limits: Limits) {
    self.file = file
    self.limits = limits
    cursor = FileCursor(file)
  }

  private mutating func stop(_ reason: String, _ name: ByteString = "") {
    fault = fault ?? .malformed(.init(file.path, "GGML", name: name, offset: cursor.offset), reason: reason)
  }

  private mutating func int() throws(FileError) -> Int { Int(try cursor.readInteger(Int32.self)) }

  mutating func parse() throws(FileError) {
    switch String(decoding: try cursor.readBytes(4), as: UTF8.self) {
    case "ggml": try parseChatGLM()
    case "lmgg": try parseLlama(version: 0, hasScores: false, isAligned: false)
    case "fmgg":
      let version = try int()
      guard version == 1 else { return stop("ggmf version \(version)") }
      try parseLlama(version: 0, hasScores: true, isAligned: false)
    case "tjgg":
      let version = try int()
      guard (1...3).contains(version) else { return stop("ggjt version \(version)") }
      try parseLlama(version: version, hasScores: true, isAligned: true)
    default: stop("no mark")
    }
  }

  private static let llamaKeys = ["n_vocab", "n_embd", "n_mult", "n_head", "n_layer", "n_rot", "ftype"]

  private mutating func parseLlama(version: Int, hasScores: Bool, isAligned: Bool) throws(FileError) {
    var vocabularyCount = 0
    for key in Self.llamaKeys {
      let value = try int()
      if key == "n_vocab" { vocabularyCount = value }
      metadata[ByteString("ggml." + key)] = .int32(Int32(truncatingIfNeeded: value))
    }
    guard vocabularyCount >= 0, vocabularyCount <= cursor.remaining / (hasScores ? 8 : 4) else {
      return stop("a vocabulary of \(vocabularyCount): this is not a llama model's file")
    }
    for _ in 0..<vocabularyCount {
      let length = try int()
      guard length >= 0, length <= limits.nameByteCount else { return stop("a token of \(length) bytes") }
      try cursor.skip(length + (hasScores ? 4 : 0))
    }
    notes.append("\(vocabularyCount) tokens left alone")
    while cursor.remaining > 0, fault == nil {
      let axes = try int()
      let nameLength = try int()
      let type = try int()
      guard (1...4).contains(axes), (1...limits.nameByteCount).contains(nameLength) else {
        return stop("a tensor of \(axes) axes and a name of \(nameLength) bytes")
      }
      var dimensions: [Int] = []
      for _ in 0..<axes { dimensions.append(try int()) }
      let name = ByteString(bytes: try cursor.readBytes(nameLength))
      if isAligned { try align(to: 32) }
      try add(name, Array(dimensions.reversed()), type: type, version: version)
    }
  }

  private mutating func align(to alignment: Int) throws(FileError) {
    try cursor.skip((alignment - cursor.offset % alignment) % alignment)
  }

  private mutating func parseChatGLM() throws(FileError) {
    metadata["chatglm.model_type"] = .int32(try cursor.readInteger(Int32.self))
    metadata["chatglm.version"] = .int32(try cursor.readInteger(Int32.self))
    // How many fields the configuration has depends on the release: the one after which a tensor follows.
    var found: Int?
    for count in [13, 11, 12, 10, 14, 15, 16] where found == nil { found = try tensorStart(fieldCount: count) }
    guard let start = found else { return stop("no configuration that is known") }
    try cursor.skip(start - cursor.offset)
    while cursor.remaining > 0, fault == nil {
      let nameLength = try int()
      guard (1...limits.nameByteCount).contains(nameLength) else { return stop("a name of \(nameLength) bytes") }
      let name = ByteString(bytes: try cursor.readBytes(nameLength))
      let axes = try int()
      guard (1...4).contains(axes) else { return stop("\(axes) axes", name) }
      var dimensions: [Int] = []
      for _ in 0..<axes { dimensions.append(try int()) }
      let type = try int()
      try align(to: 16)
      try add(name, dimensions, type: type, version: 3)
    }
  }

  private func tensorStart(fieldCount: Int) throws(FileError) -> Int? {
    let at = 12 + fieldCount * 4
    guard at + 4 <= file.byteCount else { return nil }
    let length = Int(try file.read(at: at, count: 4).integer(at: 0, as: Int32.self))
    guard length >= 0, length <= file.byteCount - at - 12 else { return nil }
    let start = at + 4 + length
    let nameLength = Int(try file.read(at: start, count: 4).integer(at: 0, as: Int32.self))
    guard (1...256).contains(nameLength), nameLength <= file.byteCount - start - 8 else { return nil }
    let name = try file.read(at: start + 4, count: nameLength + 4)
    guard name.dropLast(4).allSatisfy({ (0x21...0x7E).contains($0) }),
      (1...4).contains(name.integer(at: nameLength, as: Int32.self))
    else { return nil }
    return start
  }

  private mutating func add(_ name: ByteString, _ dimensions: [Int], type: Int, version: Int) throws(FileError) {
    guard let shape = Shape(dimensions), names.insert(name).inserted, tensors.count < limits.tensorCount else {
      return stop("a tensor of shape \(dimensions), or one that stands twice", name)
    }
    let old = version < 3 ? LegacyBlock(type: type, version: version) : nil
    if let old {
      guard shape.columns % old.elementCount == 0,
        let bytes = Int.product(of: [shape.elementCount / old.elementCount, old.byteCount]),
        BlockFormat.f32.byteCount(elements: shape.elementCount) != nil
      else { return stop("\(shape) in old blocks of \(old.byteCount) bytes", name) }
      guard bytes <= cursor.remaining else { return stop("\(shape) reaches past the end of the file", name) }
      let decoder = LegacyBlockRows(file: file, offset: cursor.offset, columns: shape.columns, block: old)
      tensors.append(TensorRef(name: name, shape: shape, format: .f32, source: DecodedSource(decoder)))
      return try cursor.skip(bytes)
    }
    guard let format = UInt32(exactly: type).flatMap({ BlockFormat.ggml($0) }), version == 3 || type < 2 else {
      return stop("type \(type) of version \(version)", name)
    }
    guard let rowByteCount = format.byteCount(elements: shape.columns),
      let bytes = Int.product(of: [rowByteCount, shape.rows]), bytes <= cursor.remaining
    else { return stop("\(shape) of \(format.name) reaches past the end of the file", name) }
    tensors.append(
      TensorRef(
        name: name, shape: shape, format: format,
        source: FileTensorSource(file: file, offset: cursor.offset, rowByteCount: rowByteCount)))
    try cursor.skip(bytes)
  }
}
