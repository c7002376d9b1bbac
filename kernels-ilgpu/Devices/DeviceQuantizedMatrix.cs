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

    private readonly DeviceMemory _codes;
    private readonly DeviceMemory _scales;
    private readonly DeviceMemory _offsets;
    private readonly DeviceMemory _pieceGroups;
    private readonly DeviceMemory _columnMap;

    /// <exception cref="NotSupportedException">The codes are looked up in a book, which no kernel does.</exception>
    public DeviceQuantizedMatrix(Device device, QuantizedMatrix matrix)
    {
        if (matrix.CodeBook is { } book)
        {
            throw new NotSupportedException($"There are no kernels for weights of {book.Name}.");
        }

        (OutDim, InDim, Groups) = (matrix.OutDim, matrix.InDim, matrix.Groups);
        CodeBits = matrix.Bits == 8 ? 8 : 4;
        PaddedRows = (OutDim + GemmTile.Size - 1) / GemmTile.Size * GemmTile.Size;
        (int[] pieceGroups, int[] columnMap) = Arrange(matrix);
        Pieces = pieceGroups.Length;
        IsMapped = !columnMap.AsSpan(0, InDim).SequenceEqual(Enumerable.Range(0, InDim).ToArray());
        _codes = device.Allocate((long)PaddedRows * Pieces * PieceColumns * CodeBits / 8);
        _scales = device.Allocate((long)PaddedRows * Groups * sizeof(float));
        _offsets = device.Allocate((long)PaddedRows * Groups * sizeof(float));
        _pieceGroups = Upload(device, pieceGroups);
        _columnMap = Upload(device, columnMap);
        if (device.Computes)
        {
            UploadCodes(matrix, columnMap);
            UploadScales(matrix);
        }
    }

    public int OutDim { get; }

    public int InDim { get; }

    public int Groups { get; }

    /// <summary>4 or 8.</summary>
    public int CodeBits { get; }

    /// <summary>Pieces of a row.</summary>
    public int Pieces { get; }

    public int PaddedRows { get; }

    /// <summary>Whether columns are in another order than the matrix's.</summary>
    public bool IsMapped { get; }

    /// <summary>Column of the matrix for each column of the pieces, −1 for padding.</summary>
    public ArrayView<int> ColumnMap => _columnMap.View<int>(0, (long)Pieces * PieceColumns);

    public QuantizedWeightView View => new(
        _codes.View<Word4>(0, _codes.ByteLength / 16),
        _scales.View<float>(0, (long)Groups * PaddedRows),
        _offsets.View<float>(0, (long)Groups * PaddedRows),
        _pieceGroups.View<int>(0, Pieces),
        Pieces,
        PaddedRows);

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

    /// <summary>Panel by panel; what pads a row or the panel has the code 0.</summary>
    private void UploadCodes(QuantizedMatrix matrix, int[] columnMap)
    {
        int pieceBytes = PieceColumns * CodeBits / 8;
        byte[] panel = new byte[(long)GemmTile.Size * Pieces * pieceBytes];
        byte[] codes = new byte[InDim];
        for (int first = 0; first < PaddedRows; first += GemmTile.Size)
        {
            Array.Clear(panel);
            for (int row = first; row < Math.Min(first + GemmTile.Size, OutDim); row++)
            {
                matrix.CopyCodes(row, codes);
                for (int column = 0; column < columnMap.Length; column++)
                {
                    if (columnMap[column] >= 0)
                    {
                        int piece = (((column / PieceColumns) * GemmTile.Size) + row - first) * pieceBytes;
                        int bit = column % PieceColumns * CodeBits;
                        panel[piece + (bit / 8)] |= (byte)(codes[columnMap[column]] << (bit % 8));
                    }
                }
            }

            _codes.Write((long)first * Pieces * pieceBytes, panel);
        }
    }

    /// <summary>Rows that pad have the scale 0, so that their values are 0.</summary>
    private void UploadScales(QuantizedMatrix matrix)
    {
        float[] scales = new float[PaddedRows];
        float[] offsets = new float[PaddedRows];
        for (int group = 0; group < Groups; group++)
        {
            for (int row = 0; row < OutDim; row++)
            {
                scales[row] = matrix.Scale(row, group);
                offsets[row] = QuantizedCodes.Bias + matrix.Zero(row, group);
            }

            _scales.Write((long)group * PaddedRows * sizeof(float), MemoryMarshal.AsBytes(scales.AsSpan()));
            _offsets.Write((long)group * PaddedRows * sizeof(float), MemoryMarshal.AsBytes(offsets.AsSpan()));
        }
    }
}
