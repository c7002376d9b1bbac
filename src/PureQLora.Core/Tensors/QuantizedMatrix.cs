namespace PureQLora.Core;

/// <summary>
/// A frozen weight [outDim, inDim] of 2-, 3-, 4- or 8-bit codes: value = scale · (code − zero), with one scale and zero point for each
/// row and group of inputs; or, of 4-bit codes with a <see cref="CodeBook"/>, value = scale · level(code). Codes and zero points never
/// change and receive no gradient; scales change only while a <see cref="WeightMatrix"/> says that they are trained.
/// </summary>
/// <remarks>
/// Codes of a row are a little-endian bit stream (code k at bit k · bits), padded to whole 32-bit words, so that a row is
/// contiguous for products in both directions.
/// </remarks>
public sealed unsafe class QuantizedMatrix : IDisposable
{
    private readonly CpuStorage _codes;
    private readonly CpuStorage _scales;
    private readonly CpuStorage _zeros;
    private readonly CpuStorage? _groupIndex;
    private readonly CodeBook _levels;

    private QuantizedMatrix(int outDim, int inDim, int bits, int groupSize, ReadOnlySpan<int> groupIndex, CodeBook? book)
    {
        (OutDim, InDim, Bits, GroupSize, CodeBook) = (outDim, inDim, bits, groupSize, book);
        _levels = book ?? CodeBook.Integers(bits);
        Groups = (inDim + groupSize - 1) / groupSize;
        RowBytes = ((((long)inDim * bits) + 31) / 32) * 4;
        _codes = new CpuStorage(checked(RowBytes * outDim));
        _scales = new CpuStorage(checked((long)outDim * Groups * sizeof(float)));
        _zeros = new CpuStorage(checked((long)outDim * Groups));
        if (!groupIndex.IsEmpty)
        {
            // Native memory like the rest, so that kernels on bare pointers need not pin it.
            _groupIndex = new CpuStorage((long)inDim * sizeof(int));
            groupIndex.CopyTo(new Span<int>(_groupIndex.Pointer, inDim));
        }
    }

    /// <summary>Rows: output features.</summary>
    public int OutDim { get; }

    /// <summary>Columns: input features.</summary>
    public int InDim { get; }

    /// <summary>Bits of a code: 2, 3, 4 or 8.</summary>
    public int Bits { get; }

    /// <summary>Inputs that share a scale; <see cref="InDim"/> for one group a row. The last group may be shorter.</summary>
    public int GroupSize { get; }

    /// <summary>Groups of a row.</summary>
    public int Groups { get; }

    /// <summary>Bytes of the codes of one row, a multiple of 4.</summary>
    public long RowBytes { get; }

    /// <summary>What codes stand for; null where they are integers with a zero point. With a book, zero points are 0.</summary>
    public CodeBook? CodeBook { get; }

    /// <summary>Group of each input column, or empty where column j simply belongs to group j / GroupSize.</summary>
    public ReadOnlySpan<int> GroupIndex => _groupIndex is null ? default : new(GroupIndexPointer, InDim);

    /// <summary>Memory of codes, scales, zero points and group index.</summary>
    public long ByteLength => _codes.ByteLength + _scales.ByteLength + _zeros.ByteLength + (_groupIndex?.ByteLength ?? 0);

    /// <summary>Value of one weight.</summary>
    public float this[int row, int column]
    {
        get
        {
            int group = GroupOf(column);
            int code = Code(row, column);
            return Scale(row, group) * (CodeBook is null ? code - Zero(row, group) : CodeBook.Levels[code]);
        }
    }

    internal byte* Codes => _codes.Pointer;

    internal float* Scales => (float*)_scales.Pointer;

    internal byte* Zeros => _zeros.Pointer;

    /// <summary>Values of codes of up to 4 bits before the zero point: those of the book, or the codes themselves.</summary>
    internal float* Levels => _levels.Pointer;

    internal int* GroupIndexPointer => _groupIndex is null ? null : (int*)_groupIndex.Pointer;

    /// <summary>Packs codes that come one a byte.</summary>
    /// <param name="outDim">Rows.</param>
    /// <param name="inDim">Columns.</param>
    /// <param name="bits">2, 3, 4 or 8.</param>
    /// <param name="groupSize">Inputs that share a scale; −1 or anything from <paramref name="inDim"/> up is one group a row.</param>
    /// <param name="codes">[outDim, inDim], each below 2^bits.</param>
    /// <param name="scales">[outDim, groups]</param>
    /// <param name="zeros">[outDim, groups], code units.</param>
    /// <param name="groupIndex">Group of each column; empty for the order of the columns.</param>
    /// <exception cref="ArgumentException">Lengths, codes or group indices do not fit.</exception>
    public static QuantizedMatrix FromCodes(
        int outDim, int inDim, int bits, int groupSize, ReadOnlySpan<byte> codes, ReadOnlySpan<float> scales, ReadOnlySpan<byte> zeros, ReadOnlySpan<int> groupIndex = default)
    {
        if (codes.Length != (long)outDim * inDim)
        {
            throw new ArgumentException($"[{outDim}, {inDim}] needs {(long)outDim * inDim} codes; there are {codes.Length}.", nameof(codes));
        }

        QuantizedMatrix matrix = Create(outDim, inDim, bits, groupSize, scales, zeros, groupIndex);
        matrix.Pack(codes);
        return matrix;
    }

    /// <summary>Takes 4-bit codes of a book as block-wise quantisation stores them: a row-major stream, the first code of a byte in its upper half.</summary>
    /// <param name="outDim">Rows.</param>
    /// <param name="inDim">Columns.</param>
    /// <param name="groupSize">Inputs that share a scale; −1 or anything from <paramref name="inDim"/> up is one group a row.</param>
    /// <param name="stream">[ceil(outDim · inDim / 2)]</param>
    /// <param name="scales">[outDim, groups]</param>
    /// <param name="book">What the codes stand for.</param>
    /// <exception cref="ArgumentException">Lengths do not fit.</exception>
    public static QuantizedMatrix FromStream(
        int outDim, int inDim, int groupSize, ReadOnlySpan<byte> stream, ReadOnlySpan<float> scales, CodeBook book)
    {
        ArgumentNullException.ThrowIfNull(book);
        if (stream.Length != (((long)outDim * inDim) + 1) / 2)
        {
            throw new ArgumentException($"[{outDim}, {inDim}] of 4 bits needs {(((long)outDim * inDim) + 1) / 2} bytes; there are {stream.Length}.", nameof(stream));
        }

        QuantizedMatrix matrix = Create(outDim, inDim, 4, groupSize, scales, new byte[scales.Length], default, book);
        matrix.PackStream(stream);
        return matrix;
    }

    /// <summary>Takes codes that are packed already, rows side by side: the words of GPTQ checkpoints.</summary>
    /// <param name="outDim">Rows.</param>
    /// <param name="inDim">Columns.</param>
    /// <param name="bits">2, 3, 4 or 8.</param>
    /// <param name="groupSize">Inputs that share a scale; −1 or anything from <paramref name="inDim"/> up is one group a row.</param>
    /// <param name="words">[ceil(inDim · bits / 32), outDim]: down each column the bit stream of a row. What pads the last word is ignored.</param>
    /// <param name="scales">[outDim, groups]</param>
    /// <param name="zeros">[outDim, groups], code units.</param>
    /// <param name="groupIndex">Group of each column; empty for the order of the columns.</param>
    /// <exception cref="ArgumentException">Lengths or group indices do not fit.</exception>
    public static QuantizedMatrix FromWords(
        int outDim, int inDim, int bits, int groupSize, ReadOnlySpan<int> words, ReadOnlySpan<float> scales, ReadOnlySpan<byte> zeros, ReadOnlySpan<int> groupIndex = default)
    {
        QuantizedMatrix matrix = Create(outDim, inDim, bits, groupSize, scales, zeros, groupIndex);
        int rowWords = (int)(matrix.RowBytes / sizeof(int));
        if (words.Length != (long)rowWords * outDim)
        {
            throw new ArgumentException($"[{outDim}, {inDim}] of {bits} bits needs {(long)rowWords * outDim} words; there are {words.Length}.", nameof(words));
        }

        fixed (int* source = words)
        {
            WordTransposition.Run(source, rowWords, outDim, (int*)matrix.Codes);
        }

        matrix.ClearPadding();
        return matrix;
    }

    /// <summary>A matrix of undefined contents, to plan for: its memory is asked for and not touched.</summary>
    /// <param name="outDim">Rows.</param>
    /// <param name="inDim">Columns.</param>
    /// <param name="bits">2, 3, 4 or 8.</param>
    /// <param name="groupSize">Inputs that share a scale; −1 or anything from <paramref name="inDim"/> up is one group a row.</param>
    /// <param name="book">What the codes stand for; null for integers.</param>
    public static QuantizedMatrix Undefined(int outDim, int inDim, int bits, int groupSize, CodeBook? book = null) =>
        new(outDim, inDim, bits, groupSize <= 0 || groupSize > inDim ? inDim : groupSize, default, book);

    /// <summary>Group of an input column.</summary>
    public int GroupOf(int column) => _groupIndex is null ? column / GroupSize : GroupIndexPointer[column];

    /// <summary>Scale of a row's group.</summary>
    public float Scale(int row, int group) => Scales[((long)row * Groups) + group];

    /// <summary>Zero point of a row's group, in code units.</summary>
    public int Zero(int row, int group) => Zeros[((long)row * Groups) + group];

    /// <summary>Code of one weight.</summary>
    public int Code(int row, int column)
    {
        long bit = (long)column * Bits;
        byte* at = Codes + (row * RowBytes) + (bit >> 3);
        int window = Bits == 3 && (bit & 7) > 5 ? at[0] | (at[1] << 8) : at[0];
        return (window >> (int)(bit & 7)) & ((1 << Bits) - 1);
    }

    /// <summary>The bit streams of some rows, <see cref="RowBytes"/> each.</summary>
    /// <param name="first">First row.</param>
    /// <param name="count">Rows; their bytes fit into a span.</param>
    public ReadOnlySpan<byte> PackedRows(int first, int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(first);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, OutDim - first);
        return new(Codes + (first * RowBytes), checked((int)(count * RowBytes)));
    }

    /// <summary>All scales, [outDim, groups].</summary>
    public ReadOnlySpan<float> RowScales => new(Scales, checked(OutDim * Groups));

    /// <summary>All zero points, [outDim, groups].</summary>
    public ReadOnlySpan<byte> RowZeros => new(Zeros, checked(OutDim * Groups));

    /// <summary>Codes of one row, one a byte.</summary>
    public void CopyCodes(int row, Span<byte> destination)
    {
        for (int column = 0; column < InDim; column++)
        {
            destination[column] = (byte)Code(row, column);
        }
    }

    /// <summary>The words that <see cref="FromWords"/> takes: the codes as they are, no more than moved.</summary>
    /// <param name="destination">[ceil(inDim · bits / 32), outDim]</param>
    /// <exception cref="ArgumentException">There is no room for exactly these words.</exception>
    public void CopyWords(Span<int> destination)
    {
        int rowWords = (int)(RowBytes / sizeof(int));
        if (destination.Length != (long)rowWords * OutDim)
        {
            throw new ArgumentException($"[{OutDim}, {InDim}] of {Bits} bits has {(long)rowWords * OutDim} words; there is room for {destination.Length}.", nameof(destination));
        }

        fixed (int* target = destination)
        {
            WordTransposition.Run((int*)Codes, OutDim, rowWords, target);
        }

        GC.KeepAlive(this);
    }

    /// <summary>The scales as a tensor on the very memory that products read, so that what is written there counts at once. [outDim, groups]</summary>
    internal Tensor ViewScales() => new(new Shape(OutDim, Groups), DataType.Float32, _scales);

    /// <summary>All values, [outDim, inDim].</summary>
    public float[] Dequantize()
    {
        float[] values = new float[checked((long)OutDim * InDim)];
        for (int row = 0; row < OutDim; row++)
        {
            DequantizeRow(row, values.AsSpan(row * InDim, InDim));
        }

        return values;
    }

    /// <summary>Values of one row.</summary>
    public void DequantizeRow(int row, Span<float> destination)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(destination.Length, InDim);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)row, (uint)OutDim);
        fixed (float* target = destination)
        {
            new QuantizedRows(this, CpuTier.Avx512).Dequantize(row, 0, InDim, target);
        }

        GC.KeepAlive(this);
    }

    /// <summary>Releases the memory.</summary>
    public void Dispose()
    {
        _codes.Dispose();
        _scales.Dispose();
        _zeros.Dispose();
        _groupIndex?.Dispose();
    }

    private static QuantizedMatrix Create(
        int outDim, int inDim, int bits, int groupSize, ReadOnlySpan<float> scales, ReadOnlySpan<byte> zeros, ReadOnlySpan<int> groupIndex, CodeBook? book = null)
    {
        if (bits is not (2 or 3 or 4 or 8))
        {
            throw new ArgumentException($"Codes have {bits} bits, allowed 2, 3, 4 and 8.", nameof(bits));
        }

        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(outDim);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(inDim);
        groupSize = groupSize <= 0 || groupSize > inDim ? inDim : groupSize;
        int groups = (inDim + groupSize - 1) / groupSize;
        if (scales.Length != (long)outDim * groups || zeros.Length != scales.Length)
        {
            throw new ArgumentException(
                $"[{outDim}, {inDim}] in {groups} groups a row needs {(long)outDim * groups} scales and zeros; there are {scales.Length} and {zeros.Length}.",
                nameof(scales));
        }

        QuantizedMatrix matrix = new(outDim, inDim, bits, groupSize, CheckGroupIndex(groupIndex, inDim, groupSize, groups), book);
        scales.CopyTo(new Span<float>(matrix.Scales, scales.Length));
        zeros.CopyTo(new Span<byte>(matrix.Zeros, zeros.Length));
        return matrix;
    }

    private static ReadOnlySpan<int> CheckGroupIndex(ReadOnlySpan<int> groupIndex, int inDim, int groupSize, int groups)
    {
        if (groupIndex.IsEmpty)
        {
            return default;
        }

        if (groupIndex.Length != inDim)
        {
            throw new ArgumentException($"The group index has {groupIndex.Length} entries for {inDim} columns.", nameof(groupIndex));
        }

        bool trivial = true;
        for (int column = 0; column < inDim; column++)
        {
            if (groupIndex[column] < 0 || groupIndex[column] >= groups)
            {
                throw new ArgumentException($"Column {column} is in group {groupIndex[column]}, allowed 0–{groups - 1}.", nameof(groupIndex));
            }

            trivial &= groupIndex[column] == column / groupSize;
        }

        return trivial ? default : groupIndex;
    }

    /// <summary>Bits behind the last code of a row are zero, whatever a file had there.</summary>
    private void ClearPadding()
    {
        int used = (int)((long)InDim * Bits % 32);
        for (int row = 0; used > 0 && row < OutDim; row++)
        {
            ((uint*)(Codes + ((row + 1) * RowBytes)))[-1] &= (1u << used) - 1;
        }
    }

    private void Pack(ReadOnlySpan<byte> codes)
    {
        new Span<byte>(Codes, checked((int)_codes.ByteLength)).Clear();
        int limit = 1 << Bits;
        for (int row = 0; row < OutDim; row++)
        {
            byte* target = Codes + (row * RowBytes);
            for (int column = 0; column < InDim; column++)
            {
                int code = codes[(row * InDim) + column];
                if (code >= limit)
                {
                    throw new ArgumentException($"Code {code} at [{row}, {column}] does not fit in {Bits} bits.", nameof(codes));
                }

                long bit = (long)column * Bits;
                int shifted = code << (int)(bit & 7);
                target[bit >> 3] |= (byte)shifted;
                if (shifted > 255)
                {
                    target[(bit >> 3) + 1] |= (byte)(shifted >> 8);
                }
            }
        }
    }

    /// <summary>Rows of an odd length start in the middle of a byte.</summary>
    private void PackStream(ReadOnlySpan<byte> stream)
    {
        new Span<byte>(Codes, checked((int)_codes.ByteLength)).Clear();
        for (int row = 0; row < OutDim; row++)
        {
            byte* target = Codes + (row * RowBytes);
            long first = (long)row * InDim;
            for (int column = 0; column < InDim; column++)
            {
                long at = first + column;
                int code = (stream[(int)(at >> 1)] >> ((at & 1) == 0 ? 4 : 0)) & 15;
                target[column >> 1] |= (byte)(code << (4 * (column & 1)));
            }
        }
    }
}
