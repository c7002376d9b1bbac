using System.Runtime.CompilerServices;
using ILGPU;

namespace PureQLora.Kernels;

/// <summary>
/// Products with a quantised weight on tensor cores, and the adapter's term on the same sums: codes and activations come by asynchronous
/// copies, codes become bfloat16 once a group, sums are float32.
/// </summary>
/// <remarks>
/// While a step is multiplied, the codes of the next are turned into numbers and the step after it is on its way. One barrier a step.
/// </remarks>
public static class QLoraLinearKernels
{
    /// <summary>y = x · Wᵀ + low · factorᵀ, codes of at most 4 bits.</summary>
    public static readonly Kernel<ProductArguments> Forward4 = new(RunProduct<Codes4, ForwardPass>, GemmTile.Threads, minGroups: 2);

    /// <summary>y = x · Wᵀ + low · factorᵀ, codes of 8 bits.</summary>
    public static readonly Kernel<ProductArguments> Forward8 = new(RunProduct<Codes8, ForwardPass>, GemmTile.Threads, minGroups: 2);

    /// <summary>dx = dy · W + low · factor, codes of at most 4 bits.</summary>
    public static readonly Kernel<ProductArguments> InputGradient4 = new(RunProduct<Codes4, InputGradientPass>, GemmTile.Threads, minGroups: 2);

    /// <summary>dx = dy · W + low · factor, codes of 8 bits.</summary>
    public static readonly Kernel<ProductArguments> InputGradient8 = new(RunProduct<Codes8, InputGradientPass>, GemmTile.Threads, minGroups: 2);

    /// <summary>y = x · Wᵀ + low · factorᵀ, codes of a book.</summary>
    public static readonly Kernel<ProductArguments> ForwardBook = new(RunProduct<BookCodes4, ForwardPass>, GemmTile.Threads, minGroups: 2);

    /// <summary>dx = dy · W + low · factor, codes of a book.</summary>
    public static readonly Kernel<ProductArguments> InputGradientBook = new(RunProduct<BookCodes4, InputGradientPass>, GemmTile.Threads, minGroups: 2);

    /// <summary>The whole weight as float32 numbers, one a thread: for products in float32.</summary>
    public static readonly Kernel<DequantizeArguments> Dequantize4 = new(RunDequantize<Codes4>, groupSize: 256);

    /// <summary>As <see cref="Dequantize4"/>, codes of 8 bits.</summary>
    public static readonly Kernel<DequantizeArguments> Dequantize8 = new(RunDequantize<Codes8>, groupSize: 256);

    /// <summary>As <see cref="Dequantize4"/>, codes of a book.</summary>
    public static readonly Kernel<DequantizeArguments> DequantizeBook = new(RunDequantize<BookCodes4>, groupSize: 256);

    /// <summary>y += bias, row by row, one element a thread.</summary>
    public static readonly Kernel<BiasArguments> Bias = new(RunBias, groupSize: 256);

    /// <summary>dBias += Σ over rows of dy, one column a thread.</summary>
    public static readonly Kernel<BiasArguments> BiasGradient = new(RunBiasGradient, groupSize: 64);

    private const int LeftStages = 3;
    private const int Slots = 2;

    private static void RunProduct<TFormat, TPass>(ProductArguments arguments)
        where TFormat : struct, ICodeFormat
        where TPass : struct, IProductPass
    {
        ArrayView<Word4> left = SharedMemory.Allocate<Word4>(LeftStages * GemmTile.Chunks);
        ArrayView<Word4> right = SharedMemory.Allocate<Word4>(Slots * GemmTile.Chunks);
        ArrayView<Word4> codes = SharedMemory.Allocate<Word4>(Slots * GemmTile.Size * TFormat.Chunks);
        int row = Grid.IdxY * GemmTile.Size;
        int column = Grid.IdxX * GemmTile.Size;
        Accumulators sums = default;
        for (int step = 0; step < 2; step++)
        {
            Issue<TFormat, TPass>(arguments, left, step * GemmTile.Chunks, codes, step, row, step);
        }

        AsyncCopy.Wait(1);
        Group.Barrier();
        Dequantize<TFormat, TPass>(arguments.Weight, codes, right, column, 0);
        int stage = 0;
        for (int step = 0; step < arguments.Steps; step++)
        {
            AsyncCopy.Wait(0);
            Group.Barrier();
            int free = stage == 0 ? LeftStages - 1 : stage - 1;
            Issue<TFormat, TPass>(arguments, left, free * GemmTile.Chunks, codes, step & 1, row, step + 2);
            if (step + 1 < arguments.Steps)
            {
                Dequantize<TFormat, TPass>(arguments.Weight, codes, right, column, step + 1);
            }

            sums = MultiplyAdd<TPass>(sums, left, stage * GemmTile.Chunks, right, (step & 1) * GemmTile.Chunks);
            stage = stage == LeftStages - 1 ? 0 : stage + 1;
        }

        for (int step = 0; step < arguments.Term.Steps; step++)
        {
            Group.Barrier();
            IssueTerm<TPass>(arguments, left, right, row, column, step);
            AsyncCopy.Commit();
            AsyncCopy.Wait(0);
            Group.Barrier();
            sums = MultiplyAdd<TPass>(sums, left, 0, right, 0);
        }

        arguments.Result.Store(sums, row, column);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Accumulators MultiplyAdd<TPass>(Accumulators sums, ArrayView<Word4> left, int leftStart, ArrayView<Word4> right, int rightStart)
        where TPass : struct, IProductPass => TPass.IsForward
            ? GemmTile.MultiplyAdd(sums, left, leftStart, right, rightStart)
            : GemmTile.MultiplyAddWide(sums, left, leftStart, right, rightStart);

    /// <summary>Starts copying a step of the adapter's share.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void IssueTerm<TPass>(ProductArguments arguments, ArrayView<Word4> left, ArrayView<Word4> right, int row, int column, int step)
        where TPass : struct, IProductPass
    {
        LowRankTerm term = arguments.Term;
        GemmTile.Issue(left, 0, term.Low, term.LowPitch, row, arguments.Result.Rows, step);
        if (TPass.IsForward)
        {
            GemmTile.Issue(right, 0, term.Factor, term.FactorPitch, column, term.FactorRows, step);
        }
        else
        {
            GemmTile.IssueWide(right, 0, term.Factor, term.FactorPitch, Grid.IdxX * (GemmTile.Size / 8), step);
        }
    }

    /// <summary>Starts copying a step, if there is one; a group of copies in any case, so that waiting counts them alike.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Issue<TFormat, TPass>(
        ProductArguments arguments, ArrayView<Word4> left, int leftStart, ArrayView<Word4> codes, int slot, int row, int step)
        where TFormat : struct, ICodeFormat
        where TPass : struct, IProductPass
    {
        if (step < arguments.Steps)
        {
            GemmTile.Issue(left, leftStart, arguments.X, arguments.Pitch, row, arguments.Result.Rows, step);
            int chunks = GemmTile.Size * TFormat.Chunks;
            if (Group.IdxX < chunks)
            {
                int source = TPass.IsForward
                    ? (((Grid.IdxX * arguments.Weight.Pieces) + step) * chunks) + Group.IdxX
                    : SourceOfRows<TFormat>(arguments.Weight, step);
                AsyncCopy.Issue(codes, (slot * chunks) + Group.IdxX, arguments.Weight.Codes, source);
            }
        }

        AsyncCopy.Commit();
    }

    /// <summary>The thread's chunk of 32 rows of the weight, four pieces of each.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int SourceOfRows<TFormat>(QuantizedWeightView weight, int step)
        where TFormat : struct, ICodeFormat
    {
        int rowChunks = GemmTile.Depth << TFormat.ChunkShift;
        int piece = PieceOfTile(weight, Group.IdxX >> (5 + TFormat.ChunkShift));
        int first = (((step >> 2) * weight.Pieces) + piece) * (4 * rowChunks);
        return first + ((step & 3) * rowChunks) + (Group.IdxX & (rowChunks - 1));
    }

    /// <summary>Turns the codes of a step into numbers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Dequantize<TFormat, TPass>(QuantizedWeightView weight, ArrayView<Word4> codes, ArrayView<Word4> right, int column, int step)
        where TFormat : struct, ICodeFormat
        where TPass : struct, IProductPass
    {
        if (TPass.IsForward)
        {
            DequantizeTall<TFormat>(weight, codes, right, column, step);
        }
        else
        {
            DequantizeWide<TFormat>(weight, codes, right, step);
        }
    }

    /// <summary>Turns the codes of a step into numbers: 128 rows of 32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void DequantizeTall<TFormat>(QuantizedWeightView weight, ArrayView<Word4> codes, ArrayView<Word4> right, int column, int step)
        where TFormat : struct, ICodeFormat
    {
        int row = Group.IdxX >> 1;
        int half = Group.IdxX & 1;
        int slot = step & 1;
        int place = (weight.PieceGroups[step] * weight.PaddedRows) + column + row;
        float scale = weight.Scales[place];
        float offset = TFormat.Offset(weight, place);
        Word4 words = TFormat.Half(codes, slot * GemmTile.Size * TFormat.Chunks, row, half);
        int start = slot * GemmTile.Chunks;
        right[start + GemmTile.Place(row, 2 * half)] = TFormat.First(words, scale, offset);
        right[start + GemmTile.Place(row, (2 * half) + 1)] = TFormat.Last(words, scale, offset);
    }

    /// <summary>Turns the codes of a step into numbers: 32 rows of 128.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void DequantizeWide<TFormat>(QuantizedWeightView weight, ArrayView<Word4> codes, ArrayView<Word4> right, int step)
        where TFormat : struct, ICodeFormat
    {
        int row = Group.IdxX & 31;
        int half = (Group.IdxX >> 5) & 1;
        int piece = Group.IdxX >> 6;
        int slot = step & 1;
        int place = (weight.PieceGroups[PieceOfTile(weight, piece)] * weight.PaddedRows) + (step * GemmTile.Depth) + row;
        float scale = weight.Scales[place];
        float offset = TFormat.Offset(weight, place);
        Word4 words = TFormat.Half(codes, slot * GemmTile.Size * TFormat.Chunks, (piece * GemmTile.Depth) + row, half);
        int start = slot * GemmTile.Chunks;
        int chunk = (4 * piece) + (2 * half);
        right[start + GemmTile.WidePlace(row, chunk)] = TFormat.First(words, scale, offset);
        right[start + GemmTile.WidePlace(row, chunk + 1)] = TFormat.Last(words, scale, offset);
    }

    /// <summary>A piece past the end of the row is a copy of the last one, whose results nobody stores.</summary>
    private static int PieceOfTile(QuantizedWeightView weight, int piece)
    {
        int of = (Grid.IdxX * 4) + piece;
        return of < weight.Pieces ? of : weight.Pieces - 1;
    }

    private static void RunDequantize<TFormat>(DequantizeArguments arguments)
        where TFormat : struct, ICodeFormat
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        QuantizedWeightView weight = arguments.Weight;
        int row = i / (weight.Pieces * GemmTile.Depth);
        int column = i - (row * weight.Pieces * GemmTile.Depth);
        if (row >= arguments.Rows)
        {
            return;
        }

        int piece = column / GemmTile.Depth;
        int target = arguments.ColumnMap[column];
        if (target >= 0)
        {
            int chunk = ((((row / GemmTile.Size) * weight.Pieces) + piece) * GemmTile.Size) + (row % GemmTile.Size);
            int place = (weight.PieceGroups[piece] * weight.PaddedRows) + row;
            int code = TFormat.Code(weight.Codes, chunk, column % GemmTile.Depth);
            ArrayView<float> values = arguments.Values;
            values[(row * arguments.Columns) + target] = weight.Scales[place] * TFormat.Number(weight, place, code);
        }
    }

    private static void RunBias(BiasArguments arguments)
    {
        int i = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (i < arguments.Rows * arguments.Columns)
        {
            ArrayView<float> y = arguments.Y;
            y[i] += arguments.Bias[i % arguments.Columns];
        }
    }

    private static void RunBiasGradient(BiasArguments arguments)
    {
        int column = (Grid.IdxX * Group.DimX) + Group.IdxX;
        if (column < arguments.Columns)
        {
            float sum = 0f;
            for (int row = 0; row < arguments.Rows; row++)
            {
                sum += arguments.Y[(row * arguments.Columns) + column];
            }

            ArrayView<float> bias = arguments.Bias;
            bias[column] += sum;
        }
    }

    /// <summary>What the whole dequantisation is given: Values is [Rows, Columns].</summary>
    public readonly record struct DequantizeArguments(
        QuantizedWeightView Weight, ArrayView<int> ColumnMap, int Rows, int Columns, ArrayView<float> Values);

    /// <summary>What the kernels of the bias are given: Y is [Rows, Columns], or its gradient, which is only read.</summary>
    public readonly record struct BiasArguments(ArrayView<float> Bias, int Rows, int Columns, ArrayView<float> Y);

    /// <summary>What the products are given.</summary>
    /// <param name="X">[rows, Pitch] in chunks: activations in the order of the weight's pieces, or gradients of outputs.</param>
    /// <param name="Pitch">Chunks of a row.</param>
    /// <param name="Steps">Steps of 32 along the inner dimension, at least 1.</param>
    /// <param name="Weight">Codes.</param>
    /// <param name="Term">The adapter's share.</param>
    /// <param name="Result">Where the sums go.</param>
    public readonly record struct ProductArguments(
        ArrayView<Word4> X, int Pitch, int Steps, QuantizedWeightView Weight, LowRankTerm Term, ResultTile Result);
}
