using System.Runtime.CompilerServices;
using ILGPU;
using PureQLora.Core;

namespace PureQLora.Kernels;

public sealed partial class IlgpuBackend
{
    private readonly ConditionalWeakTable<QuantizedMatrix, DeviceQuantizedMatrix> _weights = [];
    private long _workspaceUsed;

    private DeviceQuantizedMatrix DeviceWeight(QuantizedMatrix matrix)
    {
        if (!_weights.TryGetValue(matrix, out DeviceQuantizedMatrix? weight))
        {
            weight = new DeviceQuantizedMatrix(_device, matrix, Workspace);
            _weights.Add(matrix, weight);
        }

        return weight;
    }

    /// <summary>
    /// The codes of a weight whose copy on the device has the present scales: those that are trained change in host memory, so they are
    /// copied before each use, and once more when their training has ended.
    /// </summary>
    private QuantizedMatrix WithPresentScales(WeightMatrix weight)
    {
        QuantizedMatrix matrix = weight.Quantized!;
        DeviceQuantizedMatrix copy = DeviceWeight(matrix);
        bool trains = weight.Scales is not null;
        if (trains || copy.FollowsScales)
        {
            copy.RenewScales(_device, matrix, Workspace);
            copy.FollowsScales = trains;
        }

        return matrix;
    }

    /// <summary>Bytes of an operand of the tensor cores: rows padded to whole steps.</summary>
    private static long OperandBytes(int rows, int columns) => (long)rows * Steps(columns) * GemmTile.Depth * sizeof(ushort);

    private static int Steps(int columns) => (columns + GemmTile.Depth - 1) / GemmTile.Depth;

    /// <summary>Makes room for all operands of one operation at once: a larger workspace is other memory.</summary>
    private void BeginOperands(long byteLength)
    {
        Workspace(byteLength);
        _workspaceUsed = 0;
    }

    /// <summary>x rounded to bfloat16 in the workspace.</summary>
    /// <param name="x">[rows, columns], or [columns, rows] if transposed; any floating type.</param>
    /// <param name="rows">Rows of the operand.</param>
    /// <param name="columns">Columns of x.</param>
    /// <param name="paddedRows">Rows to write, those from rows on with zeros.</param>
    /// <param name="map">Columns of the operand in the order of a weight's pieces, or null.</param>
    /// <param name="transpose">Take the transpose of x.</param>
    private Operand Pack(Tensor x, int rows, int columns, int paddedRows, DeviceQuantizedMatrix? map = null, bool transpose = false)
    {
        int pitch = (map is null ? Steps(columns) : map.Pieces) * (GemmTile.Depth / 2);
        long bytes = (long)paddedRows * pitch * sizeof(uint);
        ArrayView<uint> y = _workspace.View<uint>(_workspaceUsed, (long)paddedRows * pitch);
        ArrayView<Word4> chunks = _workspace.View<Word4>(_workspaceUsed, bytes / 16);
        _workspaceUsed += bytes;
        bool mapped = map is { IsMapped: true };
        CastKernels.PackArguments arguments = new(
            Floating(x), rows, columns, mapped ? map!.ColumnMap : _workspace.View<int>(0, 1), mapped ? 1 : 0, paddedRows, pitch, y);
        if (transpose)
        {
            _device.Launch(CastKernels.PackTransposed, new LaunchShape((pitch + 31) / 32, (paddedRows + 31) / 32), arguments);
        }
        else
        {
            _device.Launch(CastKernels.Pack, LaunchShape.For((long)paddedRows * pitch, CastKernels.Pack.GroupSize), arguments);
        }

        return new Operand(chunks, pitch / 4, paddedRows);
    }

    /// <summary>A matrix for the tensor cores.</summary>
    /// <param name="Chunks">[rows, pitch] in chunks of eight numbers.</param>
    /// <param name="Pitch">Chunks of a row.</param>
    /// <param name="Rows">Rows.</param>
    private readonly record struct Operand(ArrayView<Word4> Chunks, int Pitch, int Rows);
}
