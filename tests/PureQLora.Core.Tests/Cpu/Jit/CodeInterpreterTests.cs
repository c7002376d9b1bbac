using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace PureQLora.Core.Tests;

/// <summary>The interpreter against the processor, and the failures that it is there for.</summary>
public sealed unsafe class CodeInterpreterTests
{
    public static TheoryData<int, bool> HeightsAndModes =>
        [.. from height in Enumerable.Range(1, Avx512Tiles.TallestRows) from accumulate in new[] { false, true } select (height, accumulate)];

    [Theory]
    [MemberData(nameof(HeightsAndModes))]
    public void Avx512Tiles_GivenInterpreter_ShouldGiveTheBitsOfTheProcessor(int height, bool accumulate)
    {
        Assert.SkipUnless(CpuFeatures.Avx512BFloat16, "The processor has no vdpbf16ps to compare with.");
        Random random = new(height);
        byte[] code = Avx512Tiles.Generate(height, accumulate);
        using ExecutableMemory native = new(code);
        using CodeInterpreter interpreter = new();
        foreach ((int depth, int scale) in new[] { (1, 0), (2, 0), (7, 0), (8, 3), (64, 30), (101, 38) })
        {
            // Wide exponents: subnormal products and operands count as zero on the processor.
            using TileOperands operands = new(height, height, depth, 40, () => (random.NextSingle() - 0.5f) * MathF.Pow(10, -scale * random.NextSingle()));
            TileArguments arguments = operands.Arguments(0.75f);
            ((delegate* unmanaged<TileArguments*, void>)native.Entry)(&arguments);
            float[] expected = operands.TakeResult();
            Allow(interpreter.Memory, operands, &arguments);
            interpreter.Run(code, &arguments);
            Assert.Equal(expected.Select(BitConverter.SingleToUInt32Bits), operands.TakeResult().Select(BitConverter.SingleToUInt32Bits));
        }
    }

    [Fact]
    public void IntegerProduct_GivenInterpreter_ShouldGiveTheBitsOfTheProcessor()
    {
        Assert.SkipUnless(CpuFeatures.Avx512Vnni, "The processor has no vpdpbusd to compare with.");
        KernelAssembler kernel = new();
        kernel.Code.vmovups(zmm0, __zmmword_ptr[r11]);
        kernel.Code.vmovups(zmm1, __zmmword_ptr[r11 + 64]);
        kernel.Code.vpdpbusd(zmm0, zmm1, __zmmword_ptr[r11 + 128]);
        kernel.Code.vmovups(__zmmword_ptr[r11], zmm0);
        byte[] code = kernel.Assemble();
        byte[] data = new byte[192];
        new Random(3).NextBytes(data);
        byte[] expected = [.. data];
        using ExecutableMemory native = new(code);
        using CodeInterpreter interpreter = new();
        fixed (byte* first = expected, second = data)
        {
            ((delegate* unmanaged<byte*, void>)native.Entry)(first);
            interpreter.Memory.Allow("data", second, data.Length, writable: true);
            interpreter.Run(code, second);
        }

        Assert.Equal(expected, data);
    }

    [Fact]
    public void Interpreter_GivenReadBehindTheOperand_ShouldFail()
    {
        Random random = new(1);
        using TileOperands operands = new(3, 3, 10, 32, random.NextSingle);
        TileArguments arguments = operands.Arguments(1f);
        arguments.Pairs++;
        using CodeInterpreter interpreter = new();
        Allow(interpreter.Memory, operands, &arguments);
        nint pointer = (nint)(&arguments);
        InvalidOperationException exception = Assert.Throws<InvalidOperationException>(() => RunTile(interpreter, 3, pointer));
        Assert.Contains("reads 64 bytes", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Interpreter_GivenWriteBehindTheResult_ShouldFail()
    {
        Random random = new(1);
        using TileOperands operands = new(3, 4, 10, 32, random.NextSingle);
        TileArguments arguments = operands.Arguments(1f);
        using CodeInterpreter interpreter = new();
        Allow(interpreter.Memory, operands, &arguments);
        nint pointer = (nint)(&arguments);
        InvalidOperationException exception = Assert.Throws<InvalidOperationException>(() => RunTile(interpreter, 4, pointer));
        Assert.Contains("writes 64 bytes", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Interpreter_GivenWriteToAnOperand_ShouldFail()
    {
        ulong data = 1;
        using CodeInterpreter interpreter = new();
        interpreter.Memory.Allow("operand", &data, sizeof(ulong));
        nint argument = (nint)(&data);
        Assert.Throws<InvalidOperationException>(() => Run(interpreter, argument, static code => code.mov(__[r11], rax)));
        Run(interpreter, argument, static code => code.mov(rax, __[r11]));
    }

    [Fact]
    public void Interpreter_GivenUnknownInstruction_ShouldNameIt()
    {
        using CodeInterpreter interpreter = new();
        InvalidOperationException exception =
            Assert.Throws<InvalidOperationException>(() => Run(interpreter, 0, static code => code.vsqrtps(zmm0, zmm1)));
        Assert.Contains("vsqrtps zmm0,zmm1", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Interpreter_GivenRegisterThatBelongsToTheCaller_ShouldFail(bool windows)
    {
        using CodeInterpreter interpreter = new(windows);
        Assert.Throws<InvalidOperationException>(() => Run(interpreter, 0, static code => code.add(rbx, 1), windows));
        Assert.Throws<InvalidOperationException>(() => Run(interpreter, 0, static code => code.add(rsp, 8), windows));
    }

    [Fact]
    public void Interpreter_GivenVectorsOfTheCallerOnWindows_ShouldFailUnlessTheyAreSaved()
    {
        using CodeInterpreter interpreter = new(windows: true);
        Run(interpreter, 0, static code => code.vpxord(zmm9, zmm9, zmm9), windows: true);

        // A kernel for System V takes its argument from another register, and may leave xmm9 as it likes.
        InvalidOperationException exception =
            Assert.Throws<InvalidOperationException>(() => Run(interpreter, 0, static code => code.vpxord(zmm9, zmm9, zmm9)));
        Assert.Contains("xmm9", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Interpreter_GivenTileBeforeItsConfiguration_ShouldFail()
    {
        using CodeInterpreter interpreter = new();
        Assert.Throws<InvalidOperationException>(() => Run(interpreter, 0, static code => code.tilezero(tmm0)));
    }

    private static void Allow(InterpretedMemory memory, TileOperands operands, TileArguments* arguments)
    {
        memory.Clear();
        memory.Allow("arguments", arguments, sizeof(TileArguments));
        memory.Allow("left", operands.Left, operands.LeftBytes);
        memory.Allow("right", operands.Right, operands.RightBytes);
        memory.Allow("c", operands.C, operands.CBytes, writable: true);
    }

    private static void RunTile(CodeInterpreter interpreter, int height, nint arguments) =>
        interpreter.Run(Avx512Tiles.Generate(height, accumulate: false), (void*)arguments);

    private static void Run(CodeInterpreter interpreter, nint argument, Action<Assembler> emit, bool windows = false)
    {
        KernelAssembler kernel = new(windows);
        emit(kernel.Code);
        interpreter.Run(kernel.Assemble(), (void*)argument);
    }
}
