namespace PureQLora.Core.Tests;

/// <summary>The kernels for AMX under the interpreter, each access held to what the arguments say.</summary>
internal readonly unsafe struct EmulatedAmxKernels : IAmxKernels
{
    private static readonly byte[][] Code = [.. Enumerable.Range(0, 4).Select(static i => AmxKernels.Generate(new KernelAssembler(windows: false), (i & 2) != 0, (i & 1) != 0))];

    [ThreadStatic]
    private static CodeInterpreter? _interpreter;

    public static void Run(bool tall, bool continues, in AmxArguments arguments)
    {
        CodeInterpreter interpreter = _interpreter ??= Configured(windows: false);
        fixed (AmxArguments* pointer = &arguments)
        {
            Allow(interpreter.Memory, tall, pointer);
            interpreter.Run(Code[(tall ? 2 : 0) + (continues ? 1 : 0)], pointer);
        }
    }

    /// <summary>A processor whose tiles are configured as those of our threads are.</summary>
    public static CodeInterpreter Configured(bool windows)
    {
        CodeInterpreter interpreter = new(windows);
        byte* configuration = stackalloc byte[AmxConfiguration.Length];
        AmxConfiguration.Write(new Span<byte>(configuration, AmxConfiguration.Length));
        interpreter.Memory.Allow("configuration", configuration, AmxConfiguration.Length);
        interpreter.Run(AmxConfiguration.GenerateLoad(new KernelAssembler(windows)), configuration);
        return interpreter;
    }

    /// <summary>Permits what the contract permits.</summary>
    public static void Allow(InterpretedMemory memory, bool tall, AmxArguments* arguments)
    {
        int rows = (tall ? 2 : 1) * AmxKernels.TileRows;
        long leftBytes = arguments->LeftEnd - arguments->Left;
        long steps = leftBytes / AmxKernels.TileRowBytes;
        memory.Clear();
        memory.Allow("arguments", arguments, sizeof(AmxArguments));
        for (int row = 0; row < rows; row++)
        {
            memory.Allow($"left row {row}", arguments->Left + (row * BFloat16Panels.LeftStride), leftBytes);
        }

        memory.Allow("right", arguments->Right, steps * AmxKernels.StepPairs * BFloat16Panels.PairBytes);
        memory.Allow("sums", arguments->Sums, rows * AmxKernels.SumsStride, writable: true);
        if (arguments->PaddedLeft is not null)
        {
            memory.Allow("padded left", arguments->PaddedLeft, rows * AmxKernels.TileRowBytes);
            memory.Allow("padded right", arguments->PaddedRight, AmxKernels.StepPairs * BFloat16Panels.PairBytes);
        }
    }
}
