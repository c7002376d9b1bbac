using System.Runtime.InteropServices;

namespace PureQLora.Core.Tests;

/// <summary>The kernels for AMX under the interpreter: this way they are right before a processor with AMX sees them.</summary>
public sealed unsafe class AmxTilesTests
{
    private const int Columns = BFloat16Panels.Columns;

    public static TheoryData<int> Heights => [.. Enumerable.Range(1, AmxTiles<EmulatedAmxKernels>.TallestRows)];

    [Theory]
    [MemberData(nameof(Heights))]
    public void Tile_GivenAnyHeight_ShouldEqualTheFloat64Product(int height)
    {
        Random random = new(height);
        int readable = (height + AmxKernels.TileRows - 1) / AmxKernels.TileRows * AmxKernels.TileRows;
        foreach ((int depth, int stride, float alpha, bool accumulate) in new[]
            { (1, 32, 1f, false), (8, 32, 2f, true), (31, 40, -0.5f, false), (32, 33, 1f, true), (97, 45, 0.125f, true), (128, 64, 1f, false) })
        {
            using TileOperands operands = new(height, readable, depth, stride, () => random.NextSingle() - 0.5f);
            AmxTiles<EmulatedAmxKernels>.Run(height, accumulate, operands.Arguments(alpha));
            operands.AssertProduct(operands.TakeResult(), alpha, accumulate);
        }
    }

    [Fact]
    public void Tile_GivenWholeBlock_ShouldEqualTheFloat64Product()
    {
        Random random = new(5);
        using TileOperands operands = new(32, 32, BFloat16Panels.InnerBlock, 32, () => random.NextSingle() - 0.5f);
        AmxTiles<EmulatedAmxKernels>.Run(32, accumulate: false, operands.Arguments(1f));
        operands.AssertProduct(operands.TakeResult(), 1f, accumulate: false);
    }

    [Theory]
    [InlineData(3)]
    [InlineData(16)]
    [InlineData(17)]
    [InlineData(32)]
    public void Sums_GivenSeveralBlocks_ShouldContinue(int height)
    {
        Random random = new(height);
        using TileOperands first = new(height, 32, 70, Columns, () => random.NextSingle() - 0.5f);
        using TileOperands second = new(height, 32, 33, Columns, () => random.NextSingle() - 0.5f);
        float* sums = (float*)NativeMemory.AlignedAlloc(AmxKernels.SumsBytes, 64);
        byte* padding = (byte*)NativeMemory.AlignedAlloc(AmxTiles<EmulatedAmxKernels>.PaddingLength * sizeof(float), 64);
        AmxTiles<EmulatedAmxKernels>.Add(height, second.Left, second.Right, second.Pairs, continues: false, sums, null, padding);
        AmxTiles<EmulatedAmxKernels>.Store(sums, height, 1f, accumulate: false, first.C, Columns);
        float[] begun = new Span<float>(first.C, first.CBytes / sizeof(float)).ToArray();
        second.AssertProduct(begun, 1f, accumulate: false);

        AmxTiles<EmulatedAmxKernels>.Add(height, first.Left, first.Right, first.Pairs, continues: true, sums, null, padding);
        AmxTiles<EmulatedAmxKernels>.Store(sums, height, 1f, accumulate: false, second.C, Columns);
        float[] both = new Span<float>(second.C, begun.Length).ToArray();
        first.AssertProduct([.. both.Zip(begun, (sum, before) => sum - before)], 1f, accumulate: false);
        NativeMemory.AlignedFree(sums);
        NativeMemory.AlignedFree(padding);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Kernels_GivenEitherCallingConvention_ShouldGiveTheSameBitsAndKeepItsPromises(bool windows)
    {
        Random random = new(7);
        using TileOperands operands = new(32, 32, 64, Columns, () => random.NextSingle() - 0.5f);
        using CodeInterpreter interpreter = EmulatedAmxKernels.Configured(windows);
        float* sums = (float*)NativeMemory.AlignedAlloc(AmxKernels.SumsBytes, 64);
        AmxArguments arguments = new()
        {
            Left = operands.Left,
            LeftEnd = operands.Left + (2 * AmxKernels.TileRowBytes),
            Right = operands.Right,
            Sums = sums,
        };
        EmulatedAmxKernels.Allow(interpreter.Memory, tall: true, &arguments);
        foreach (bool continues in new[] { false, true })
        {
            interpreter.Run(AmxKernels.Generate(new KernelAssembler(windows), tall: true, continues), &arguments);
        }

        // Twice the product: of every element, as doubling is exact.
        operands.AssertProduct([.. new Span<float>(sums, 32 * Columns).ToArray().Select(sum => sum / 2)], 1f, accumulate: false);
        interpreter.Run(AmxConfiguration.GenerateRelease(new KernelAssembler(windows)), null);
        NativeMemory.AlignedFree(sums);
    }

    [Fact]
    public void SelfTest_GivenRightKernels_ShouldPass() => Assert.True(AmxSelfTest<EmulatedAmxKernels>.Passes(() => new MemoryStream()));

    [Fact]
    public void SelfTest_GivenWrongKernels_ShouldNotPass() => Assert.False(AmxSelfTest<ForgetfulKernels>.Passes(() => new MemoryStream()));

    [Fact]
    public void SelfTest_GivenThreadThatCannotBePrepared_ShouldThrowOnTheCaller() =>
        Assert.Throws<InvalidOperationException>(() => AmxSelfTest<EmulatedAmxKernels>.Passes(() => throw new InvalidOperationException()));

    /// <summary>Kernels that lose one column of one row.</summary>
    private readonly struct ForgetfulKernels : IAmxKernels
    {
        public static void Run(bool tall, bool continues, in AmxArguments arguments)
        {
            EmulatedAmxKernels.Run(tall, continues, arguments);
            arguments.Sums[(3 * Columns) + 17] = 0f;
        }
    }
}
