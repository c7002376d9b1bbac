namespace PureQLora.Core;

/// <summary>
/// One operand of a matrix product as the packing sees it: lines that are contiguous in memory, dense or quantised. Whether a line
/// runs along the inner dimension of the product is up to the caller.
/// </summary>
internal readonly unsafe struct GemmOperand
{
    private readonly byte* _data;
    private readonly long _lineElements;
    private readonly DataType _type;
    private readonly QuantizedView _quantized;

    /// <summary>Dense lines of <paramref name="lineElements"/> elements.</summary>
    public GemmOperand(byte* data, DataType type, long lineElements)
    {
        _data = data;
        (_type, _lineElements) = (type, lineElements);
    }

    /// <summary>The rows of a quantised matrix.</summary>
    public GemmOperand(QuantizedMatrix matrix) => _quantized = new QuantizedView(matrix);

    /// <summary>Writes elements start … start + count − 1 of a line as floats.</summary>
    public void Read(long line, long start, int count, bool roundToBFloat16, float* destination)
    {
        if (_data is null)
        {
            _quantized.Dequantize(line, (int)start, count, destination);
        }
        else
        {
            long offset = (line * _lineElements) + start;
            FloatConversion.ToFloat32(_data + (offset * _type.Size()), _type, count, destination);
        }

        if (roundToBFloat16)
        {
            FloatConversion.RoundToBFloat16(destination, count);
        }
    }

    /// <summary>Where float32 elements of a line are, if they can be used in place; null if they must be read.</summary>
    public float* InPlace(long line, long start) =>
        _data is not null && _type == DataType.Float32 ? (float*)_data + (line * _lineElements) + start : null;
}
