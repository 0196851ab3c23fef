//  ModelProto (protobuf): 7: graph
//  GraphProto: 1: nodes, 5: initializers
//  NodeProto: 1: inputs, 2: outputs, 3: name, 4: operator, 5: attributes
//  AttributeProto: 1: name, 2: f, 3: i, 5: tensor, 6: graph, 8: ints
//  TensorProto: 1: dims, 2: type, 4: floats, 5: int32s, 7: int64s, 8: name, 9: raw, 10: doubles, 11: uint64s,
//    13: external data (key–value pairs), 14: 1 if external
//
//  onnx.proto3 of github.com/onnx/onnx.

import Archives
public import Bytes
public import IR
public import SystemPackage

/// The weights of an ONNX model: initializers and constants, also of branches and loops; quantized ones decoded, and
/// those that the exporter renamed under the names that the graph tells. Nothing of the graph is run.
public struct ONNXFile: Sendable {
  public let contents: ContainerContents

  /// Reads the graph's structure and small constants, no weights.
  public init(_ path: FilePath, limits: Limits = Limits()) throws(ContainerError) {
    let file: InputFile
    do throws(FileError) { file = try InputFile(path) } catch { throw .file(error) }
    var parser = ONNXGraphParser(file, limits: limits)
    do throws(ProtobufError) {
      guard let graph = try Self.graph(of: file) else {
        throw ProtobufError.malformed(reason: "a model without a graph", offset: 0)
      }
      try parser.parse(graph: graph, prefix: "", depth: 0)
    } catch {
      throw parser.fault ?? Self.converted(error, path: path)
    }
    var weights = ONNXWeights(parser, path: path)
    try weights.resolve()
    contents = ContainerContents(
      tensors: weights.tensors, fileByteCount: file.byteCount + parser.externalByteCount, notes: weights.notes)
  }

  /// Whether the file is a model by its outermost fields, all of which must be a model's.
  public static func recognizes(_ file: InputFile) -> Bool {
    guard file.byteCount > 16, let found = try? graph(of: file) else { return false }
    return !found.isEmpty
  }

  /// Where the graph lies; nil without one.
  private static func graph(of file: InputFile) throws(ProtobufError) -> Range<Int>? {
    var reader = ProtobufReader(file, range: 0..<file.byteCount)
    var graph: Range<Int>?
    var fieldCount = 0
    while let field = try reader.next() {
      fieldCount += 1
      switch (field.number, field.value) {
      case (7, .bytes(let range)): graph = range
      case (1, .varint), (5, .varint), (2...4, .bytes), (6, .bytes), (8, .bytes), (14, .bytes), (20...26, .bytes): break
      default: throw .malformed(reason: "field \(field.number) is none of a model's", offset: field.offset)
      }
      if fieldCount > 100_000 { throw .malformed(reason: "too many fields", offset: field.offset) }
    }
    return graph
  }

  static func converted(_ error: ProtobufError, path: FilePath) -> ContainerError {
    switch error {
    case .file(let error): .file(error)
    case .malformed(let reason, let offset): .malformed(.init(path, "ONNX", offset: offset), reason: reason)
    }
  }
}
