using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Training.Tests;

public sealed class ScaleDistillationTests : IDisposable
{
    private readonly TinyRun _tiny = new();
    private readonly CpuBackend _backend = new(threads: 2);

    public void Dispose()
    {
        _backend.Dispose();
        _tiny.Dispose();
    }

    [Theory]
    [InlineData(2, 16, false)]
    [InlineData(3, -1, true)]
    [InlineData(4, 16, true)]
    public void Run_GivenARandomModel_ShouldLowerTheDivergenceByItsScalesAlone(int bits, int groupSize, bool actOrder)
    {
        using ModelFolder teacher = ModelFolder.Open(_tiny.Model);
        using ModelFolder student = Quantized(bits, groupSize, actOrder);
        QuantizedMatrix[] matrices = Matrices(student);
        byte[][] codes = [.. matrices.Select(CodesAndZeros)];
        float[][] scales = [.. matrices.Select(Scales)];

        DistillationResult result = Distil(student, teacher, 24);

        Assert.InRange(result.After, 0, 0.98 * result.Before);
        Assert.InRange(result.KeptStep, 1, 24);
        Assert.Equal(matrices, Matrices(student));
        Assert.All(student.Model.Linears, layer => Assert.Null(layer.Weight.Scales));
        Assert.Equal(codes, matrices.Select(CodesAndZeros));
        Assert.All(matrices.Zip(scales), pair => Assert.NotEqual(pair.Second, Scales(pair.First)));
        Assert.All(matrices.SelectMany(Scales), scale => Assert.Equal(scale, (float)(Half)scale));

        // What is stored is what was measured: to measure it again gives the same number.
        Assert.Equal(result.After, Distil(student, teacher, 1).Before);
    }

    [Fact]
    public void Run_GivenAGptqFileWritten_ShouldReadItBackBitForBit()
    {
        using ModelFolder teacher = ModelFolder.Open(_tiny.Model);
        using ModelFolder student = Quantized(2, 16, actOrder: false);
        Distil(student, teacher, 8);
        GptqCheckpoint.Write(
            _tiny["written"],
            student.Checkpoint,
            new GptqConfig { Bits = 2, GroupSize = 16 },
            student.Model.Linears.ToDictionary(layer => layer.Name, layer => layer.Weight.Quantized!));

        using ModelFolder read = ModelFolder.Open(_tiny["written"]);
        Assert.All(Matrices(student).Zip(Matrices(read)), pair => Assert.Equal(pair.First.Dequantize(), pair.Second.Dequantize()));
    }

    [Fact]
    public void Run_GivenAnotherNumberOfThreads_ShouldGiveTheSameScales()
    {
        using ModelFolder teacher = ModelFolder.Open(_tiny.Model);
        float[][][] scales = [.. new[] { 1, 2, 3 }.Select(threads =>
        {
            using CpuBackend backend = new(threads);
            using ModelFolder student = Quantized(2, 16, actOrder: false);
            ScaleDistillation.Run(student.Model, teacher.Model, backend, Calibration(), Options(6));
            return Matrices(student).Select(Scales).ToArray();
        })];
        Assert.Equal(scales[0], scales[1]);
        Assert.Equal(scales[0], scales[2]);
    }

    [Fact]
    public void Run_GivenARateThatDestroys_ShouldKeepTheStart()
    {
        using ModelFolder teacher = ModelFolder.Open(_tiny.Model);
        using ModelFolder student = Quantized(8, 16, actOrder: false);
        float[][] before = [.. Matrices(student).Select(Scales)];

        DistillationResult result = ScaleDistillation.Run(
            student.Model, teacher.Model, _backend, Calibration(), Options(40) with { RelativeRate = 0.09, Interval = 2, Patience = 3 });

        Assert.Equal((0, 6), (result.KeptStep, result.Steps));
        Assert.Equal(result.Before, result.After);
        Assert.Equal(before, Matrices(student).Select(Scales));
    }

    [Fact]
    public void Run_GivenAnotherStep_ShouldAllocateNothing()
    {
        using ModelFolder teacher = ModelFolder.Open(_tiny.Model);
        using ModelFolder student = Quantized(4, 16, actOrder: false);
        List<long> allocated = [];
        ScaleDistillation.Run(
            student.Model, teacher.Model, _backend, Calibration(), Options(12) with { Interval = 12 },
            new DirectProgress<DistillationStep>(_ => allocated.Add(GC.GetAllocatedBytesForCurrentThread())));

        // What is told of a step is an object of 48 bytes.
        Assert.InRange(allocated[10] - allocated[9], 0, 128);
    }

    [Fact]
    public void Run_GivenCancellation_ShouldLeaveTheBestInPlace()
    {
        using ModelFolder teacher = ModelFolder.Open(_tiny.Model);
        using ModelFolder student = Quantized(2, 16, actOrder: false);
        using CancellationTokenSource stop = new();
        double best = double.MaxValue;
        Assert.Throws<OperationCanceledException>(() => ScaleDistillation.Run(
            student.Model, teacher.Model, _backend, Calibration(), Options(40),
            new DirectProgress<DistillationStep>(step =>
            {
                best = Math.Min(best, step.HeldOut ?? best);
                if (step.Step == 10)
                {
                    stop.Cancel();
                }
            }),
            stop.Token));
        Assert.Equal(best, Distil(student, teacher, 1).Before);
    }

    [Fact]
    public void Run_GivenWhatCannotBeDistilled_ShouldSayWhy()
    {
        using ModelFolder teacher = ModelFolder.Open(_tiny.Model);
        using ModelFolder student = Quantized(4, 16, actOrder: false);
        Assert.Contains("quantise it first", Refused(teacher, Calibration(), Options(1)), StringComparison.Ordinal);
        Assert.Contains("at least 2", Refused(student, [[1, 2, 3], [4]], Options(1)), StringComparison.Ordinal);
        Assert.Contains("allowed 1 to", Refused(student, Calibration(), Options(0)), StringComparison.Ordinal);
        Assert.Contains("int8", Refused(student, Calibration(), Options(1) with { Precision = Precision.Int8 }), StringComparison.Ordinal);
        LoraInjection.Inject(student.Model, new LoraConfig { Rank = 2 }, seed: 1);
        Assert.Contains("adapter", Refused(student, Calibration(), Options(1)), StringComparison.Ordinal);

        string Refused(ModelFolder folder, IReadOnlyList<int[]> calibration, DistillationOptions options) =>
            Assert.Throws<UserErrorException>(() => ScaleDistillation.Run(folder.Model, teacher.Model, _backend, calibration, options)).Message;
    }

    private static DistillationOptions Options(int steps) => new() { Steps = steps, StepTokens = 128, HeldOutPeriod = 4, Seed = 3, RelativeRate = 0.004 };

    private static QuantizedMatrix[] Matrices(ModelFolder folder) => [.. folder.Model.Linears.Select(layer => layer.Weight.Quantized!)];

    private static float[] Scales(QuantizedMatrix matrix) =>
        [.. Enumerable.Range(0, matrix.OutDim * matrix.Groups).Select(i => matrix.Scale(i / matrix.Groups, i % matrix.Groups))];

    private static byte[] CodesAndZeros(QuantizedMatrix matrix) =>
    [
        .. Enumerable.Range(0, matrix.OutDim * matrix.InDim).Select(i => (byte)matrix.Code(i / matrix.InDim, i % matrix.InDim)),
        .. Enumerable.Range(0, matrix.OutDim * matrix.Groups).Select(i => (byte)matrix.Zero(i / matrix.Groups, i % matrix.Groups)),
    ];

    private static int[][] Calibration()
    {
        Random random = new(4);
        return [.. Enumerable.Range(0, 24).Select(i => Enumerable.Range(0, 30 + i).Select(_ => random.Next(700)).ToArray())];
    }

    private ModelFolder Quantized(int bits, int groupSize, bool actOrder)
    {
        ModelFolder folder = ModelFolder.Open(_tiny.Model);
        GptqOptions options = new() { Bits = bits, GroupSize = groupSize, ActOrder = actOrder };
        ModelQuantizer.Quantize(folder.Model, _backend, QuantizationMethod.Gptq, options, Calibration());
        return folder;
    }

    private DistillationResult Distil(ModelFolder student, ModelFolder teacher, int steps) =>
        ScaleDistillation.Run(student.Model, teacher.Model, _backend, Calibration(), Options(steps));
}
