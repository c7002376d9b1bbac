using ILGPU;

namespace PureQLora.Kernels.Tests;

/// <summary>One kernel around each intrinsic.</summary>
public static class IntrinsicKernels
{
    public static readonly Kernel<ProductArguments> Product = new(RunProduct, groupSize: 32);
    public static readonly Kernel<ProductArguments> TransposedProduct = new(RunTransposedProduct, groupSize: 32);
    public static readonly Kernel<WordArguments> Bytes = new(RunBytes, groupSize: 32);
    public static readonly Kernel<PackArguments> Pack = new(RunPack, groupSize: 32);
    public static readonly Kernel<CopyArguments> Copy = new(RunCopy, groupSize: 32);
    public static readonly Kernel<PackArguments> Reduce = new(RunReduce, groupSize: 32);

    /// <summary>C [16, 8] = A [16, 16] · B [8, 16]ᵀ.</summary>
    private static void RunProduct(ProductArguments arguments)
    {
        ArrayView<Word4> tile = SharedMemory.Allocate<Word4>(64);
        int lane = Group.IdxX;
        Load(arguments, tile, lane);
        Word4 a = TensorCore.LoadMatrices(tile, (2 * (lane & 15)) + (lane >> 4));
        Word4 b = TensorCore.LoadMatrices(tile, 32 + (2 * (lane & 7)) + ((lane >> 3) & 1));
        Store(arguments, lane, TensorCore.MultiplyAdd(new Float4(1f, 2f, 3f, 4f), a, b.X, b.Y));
    }

    /// <summary>C [16, 8] = A [16, 16] · B [16, 8].</summary>
    private static void RunTransposedProduct(ProductArguments arguments)
    {
        ArrayView<Word4> tile = SharedMemory.Allocate<Word4>(64);
        int lane = Group.IdxX;
        Load(arguments, tile, lane);
        Word4 a = TensorCore.LoadMatrices(tile, (2 * (lane & 15)) + (lane >> 4));
        Word4 b = TensorCore.LoadMatricesTransposed(tile, 32 + (lane & 15));
        Store(arguments, lane, TensorCore.MultiplyAdd(new Float4(1f, 2f, 3f, 4f), a, b.X, b.Y));
    }

    private static void Load(ProductArguments arguments, ArrayView<Word4> tile, int lane)
    {
        AsyncCopy.Issue(tile, lane, arguments.A, lane);
        AsyncCopy.IssueOrZero(tile, 32 + lane, arguments.B, lane & 15, lane < 16);
        AsyncCopy.Commit();
        AsyncCopy.Wait(0);
        Group.Barrier();
    }

    private static void Store(ProductArguments arguments, int lane, Float4 c)
    {
        ArrayView<Float4> all = arguments.C;
        all[lane] = c;
    }

    private static void RunBytes(WordArguments arguments)
    {
        ArrayView<Float4> y = arguments.Y;
        int i = Group.IdxX;
        uint even = QuantizedCodes.EvenNibbles(arguments.X[i]);
        uint odd = QuantizedCodes.OddNibbles(arguments.X[i]);
        y[2 * i] = new Float4(
            QuantizedCodes.Biased0(even), QuantizedCodes.Biased1(even), QuantizedCodes.Biased2(even), QuantizedCodes.Biased3(even));
        y[(2 * i) + 1] = new Float4(
            QuantizedCodes.Biased0(odd), QuantizedCodes.Biased1(odd), QuantizedCodes.Biased2(odd), QuantizedCodes.Biased3(odd));
    }

    private static void RunPack(PackArguments arguments)
    {
        ArrayView<float> y = arguments.Y;
        int i = Group.IdxX;
        uint pair = BFloat16Pair.Pack(arguments.X[2 * i], arguments.X[(2 * i) + 1]);
        y[2 * i] = BFloat16Pair.Low(pair);
        y[(2 * i) + 1] = BFloat16Pair.High(pair);
    }

    private static void RunCopy(CopyArguments arguments)
    {
        ArrayView<ulong> y = arguments.Y;
        ArrayView<uint> words = SharedMemory.Allocate<uint>(32);
        ArrayView<ulong> doubles = SharedMemory.Allocate<ulong>(32);
        int i = Group.IdxX;
        AsyncCopy.Issue(words, 31 - i, arguments.Words, i);
        AsyncCopy.Commit();
        AsyncCopy.Issue(doubles, 31 - i, arguments.Doubles, i);
        AsyncCopy.Commit();
        AsyncCopy.Wait(1);
        Group.Barrier();
        uint word = words[i];
        AsyncCopy.Wait(0);
        Group.Barrier();
        y[i] = doubles[i] + word;
    }

    private static void RunReduce(PackArguments arguments)
    {
        ArrayView<float> y = arguments.Y;
        int i = Group.IdxX;
        y[2 * i] = WarpReduction.Sum(arguments.X[i]);
        y[(2 * i) + 1] = WarpReduction.Max(arguments.X[i]);
    }

    public readonly record struct ProductArguments(ArrayView<Word4> A, ArrayView<Word4> B, ArrayView<Float4> C);

    public readonly record struct WordArguments(ArrayView<uint> X, ArrayView<Float4> Y);

    public readonly record struct PackArguments(ArrayView<float> X, ArrayView<float> Y);

    public readonly record struct CopyArguments(ArrayView<uint> Words, ArrayView<ulong> Doubles, ArrayView<ulong> Y);
}
