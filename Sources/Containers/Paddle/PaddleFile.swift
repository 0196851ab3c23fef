//  .pdparams     a pickle: {name: NumPy array, …, "StructuredToParameterName@@": {…}}
//  .pdiparams    tensors one after the other: u32 0 │ u64 levels, each u64 length and bytes │ u32 0 │ i32 length,
//                TensorDesc (protobuf: 1: type, 2: dims) │ elements; names in the .pdmodel (or .json, since 3) beside it
//
//  paddle/framework/io.py, paddle/fluid/framework/lod_tensor.cc, framework.proto.

public import Bytes
public import IR
public import SystemPackage

/// Paddle's parameters: pickled NumPy arrays, or LoD tensors.
public struct PaddleFile: Sendable {
  public let contents: ContainerContents

  /// A pickle (which PyTorch's readers did not want), or the beginning of a LoD tensor.
  public static func recognizes(_ head: [UInt8]) -> Bool {
    if head.count > 2, head[0] == 0x80, (2...5).contains(head[1]) { return true }
    guard head.count >= 24, head.integer(at: 0, as: UInt32.self) == 0, head.integer(at: 4, as: UInt64.self) == 0,
      head.integer(at: 12, as: UInt32.self) == 0
    else { return false }
    return (2...256).contains(head.integer(at: 16, as: Int32.self)) && head[20] == 0x08
  }

  public init(_ path: FilePath, limits: Limits = Limits()) throws(ContainerError) {
    let file: InputFile
    let first: [UInt8]
    do throws(FileError) {
      file = try InputFile(path)
      first = try file.read(at: 0, count: min(1, file.byteCount))
    } catch { throw .file(error) }
    contents =
      first == [0x80]
      ? try PaddlePickle(file, limits: limits).contents : try PaddleTensors(file, limits: limits).contents
  }
}
