using System.Runtime.InteropServices;
using ILGPU;
using PureQLora.Core;

namespace PureQLora.Kernels;

/// <summary>A quantised weight on a device, packed once in the order in which kernels read it (see <see cref="QuantizedWeightView"/>).</summary>
/// <remarks>
/// A piece of 32 columns has one group, whatever the size of groups or their order in the matrix: the columns of each group are padded to
/// whole pieces, and a map tells where they came from. Codes of 2 and 3 bits take 4.
/// </remarks>
internal sealed class DeviceQuantizedMatrix : IDisposable
{
    private const int PieceColumns = GemmTile.Depth;

    /// <summary>What is uploaded at a time.</summary>
    private const long PortionBytes = 8L << 20;

    private readonly DeviceMemory _codes;
    private readonly DeviceMemory _scales;
    private readonly DeviceMemory _offsets;
    private readonly DeviceMemory _pieceGroups;
    private readonly DeviceMemory _columnMap;

    /// <param name="device">Where it goes.</param>
    /// <param name="matrix">On the host.</param>
    /// <param name="workspace">Gives memory of the device until the next call.</param>
    public DeviceQuantizedMatrix(Device device, QuantizedMatrix matrix, Func<long, DeviceMemory> workspace)
    {
        HasBook = matrix.CodeBook is not null;
        (OutDim, InDim, Groups) = (matrix.OutDim, matrix.InDim, matrix.Groups);
        CodeBits = matrix.Bits == 8 ? 8 : 4;
        PaddedRows = (OutDim + GemmTile.Size - 1) / GemmTile.Size * GemmTile.Size;
        (int[] pieceGroups, int[] columnMap) = Arrange(matrix);
        Pieces = pieceGroups.Length;
        IsMapped = !columnMap.AsSpan(0, InDim).SequenceEqual(Enumerable.Range(0, InDim).ToArray());
        _codes = device.Allocate((long)PaddedRows * Pieces * PieceColumns * CodeBits / 8);
        _scales = device.Allocate((long)PaddedRows * Groups * sizeof(float));
        _offsets = device.Allocate(OffsetCount * sizeof(float));
        _pieceGroups = Upload(device, pieceGroups);
        _columnMap = Upload(device, columnMap);
        if (device.Computes)
        {
            UploadCodes(device, matrix, workspace);
            UploadScales(device, matrix, workspace);
            if (matrix.CodeBook is { } book)
            {
                _offsets.Write(0, MemoryMarshal.AsBytes(book.Levels));
            }
        }
    }

    public int OutDim { get; }

    public int InDim { get; }

    public int Groups { get; }

    /// <summary>4 or 8.</summary>
    public int CodeBits { get; }

    /// <summary>Whether a book explains the codes, whose levels stand where others have offsets.</summary>
    public bool HasBook { get; }

    /// <summary>Pieces of a row.</summary>
    public int Pieces { get; }

    public int PaddedRows { get; }

    /// <summary>Whether the scales were last used while they were trained, and may have changed since.</summary>
    public bool FollowsScales { get; set; }

    /// <summary>Whether columns are in another order than the matrix's.</summary>
    public bool IsMapped { get; }

    /// <summary>Column of the matrix for each column of the pieces, −1 for padding.</summary>
    public ArrayView<int> ColumnMap => _columnMap.View<int>(0, (long)Pieces * PieceColumns);

    private long OffsetCount => HasBook ? CodeBook.Length : (long)Groups * PaddedRows;

    public QuantizedWeightView View => new(
        _codes.View<Word4>(0, _codes.ByteLength / 16),
        _scales.View<float>(0, (long)Groups * PaddedRows),
        _offsets.View<float>(0, OffsetCount),
        _pieceGroups.View<int>(0, Pieces),
        Pieces,
        PaddedRows);

    /// <summary>Takes over the present scales of the matrix.</summary>
    /// <param name="device">Where this is.</param>
    /// <param name="matrix">The matrix that this is a copy of.</param>
    /// <param name="workspace">Gives memory of the device until the next call.</param>
    public void RenewScales(Device device, QuantizedMatrix matrix, Func<long, DeviceMemory> workspace)
    {
        if (device.Computes)
        {
            UploadScales(device, matrix, workspace);
        }
    }

    public void Dispose()
    {
        _codes.Dispose();
        _scales.Dispose();
        _offsets.Dispose();
        _pieceGroups.Dispose();
        _columnMap.Dispose();
    }

    /// <summary>The columns of each group in turn, in their own order, padded to whole pieces.</summary>
    private static (int[] PieceGroups, int[] ColumnMap) Arrange(QuantizedMatrix matrix)
    {
        List<int>[] columns = [.. Enumerable.Range(0, matrix.Groups).Select(_ => new List<int>())];
        for (int column = 0; column < matrix.InDim; column++)
        {
            columns[matrix.GroupOf(column)].Add(column);
        }

        List<int> groups = [];
        List<int> map = [];
        for (int group = 0; group < columns.Length; group++)
        {
            map.AddRange(columns[group]);
            while (map.Count % PieceColumns != 0)
            {
                map.Add(-1);
            }

            while (groups.Count < map.Count / PieceColumns)
            {
                groups.Add(group);
            }
        }

        return ([.. groups], [.. map]);
    }

    private static DeviceMemory Upload(Device device, int[] values)
    {
        DeviceMemory memory = device.Allocate((long)values.Length * sizeof(int));
        memory.Write(0, MemoryMarshal.AsBytes(values.AsSpan()));
        return memory;
    }

    /// <summary>Some panels at a time: the bit streams as they are, which the device then brings into its order.</summary>
    private void UploadCodes(Device device, QuantizedMatrix matrix, Func<long, DeviceMemory> workspace)
    {
        int portion = (int)Math.Clamp(PortionBytes / matrix.RowBytes / GemmTile.Size * GemmTile.Size, GemmTile.Size, PaddedRows);
        Kernel<QuantizedWeightKernels.CodeArguments> kernel = CodeBits == 4 ? QuantizedWeightKernels.Codes4 : QuantizedWeightKernels.Codes8;
        DeviceMemory words = workspace(portion * matrix.RowBytes);
        for (int first = 0; first < OutDim; first += portion)
        {
            int rows = Math.Min(portion, OutDim - first);
            int padded = Math.Min(portion, PaddedRows - first);
            words.Write(0, matrix.PackedRows(first, rows));
            device.Launch(
                kernel,
                LaunchShape.For((long)padded * Pieces, kernel.GroupSize),
                new QuantizedWeightKernels.CodeArguments(
                    words.View<uint>(0, rows * matrix.RowBytes / sizeof(uint)),
                    matrix.Bits,
                    (int)(matrix.RowBytes / sizeof(uint)),
                    first,
                    rows,
                    padded,
                    ColumnMap,
                    Pieces,
                    _codes.View<Word4>(0, _codes.ByteLength / 16)));
        }
    }

    private void UploadScales(Device device, QuantizedMatrix matrix, Func<long, DeviceMemory> workspace)
    {
        long count = (long)OutDim * Groups;
        long padded = (long)PaddedRows * Groups;
        long offsetStart = ((count * (sizeof(float) + 1)) + sizeof(float) - 1) / sizeof(float) * sizeof(float);
        DeviceMemory raw = workspace(offsetStart + (HasBook ? padded * sizeof(float) : 0));
        raw.Write(0, MemoryMarshal.AsBytes(matrix.RowScales));
        raw.Write(count * sizeof(float), matrix.RowZeros);
        device.Launch(
            QuantizedWeightKernels.Scales,
            LaunchShape.For(padded, QuantizedWeightKernels.Scales.GroupSize),
            new QuantizedWeightKernels.ScaleArguments(
                raw.View<float>(0, count),
                raw.View<byte>(count * sizeof(float), count),
                OutDim,
                Groups,
                PaddedRows,
                _scales.View<float>(0, padded),
                HasBook ? raw.View<float>(offsetStart, padded) : _offsets.View<float>(0, padded)));
    }
}
