using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Tools.Bench;

namespace PureQLora.Tools.Tests;

/// <summary>Every command of the benchmark at a shape that takes no time, and what it says to wrong options.</summary>
public sealed class BenchTests
{
    [Fact]
    public void Training_GivenATinyShape_ShouldShowSpeedMemoryAndSharesOfTheLimits()
    {
        string output = Tool.Bench("training", "--shape", "tiny", "--seq", "32", "--rank", "2", "--steps", "1", "--quick", "--no-peers").ShouldSucceed().Output;

        Assert.Contains("limits: FMA peak ", output, StringComparison.Ordinal);
        Assert.Contains("resident; ", output, StringComparison.Ordinal);
        Assert.Matches(@"PureQLora +[1-9][0-9]*\.[0-9] tok/s best .* of FMA peak", output);
    }

    [Fact]
    public void Training_GivenASweep_ShouldShowALineForEachLengthAndRank()
    {
        string output = Tool.Bench("training", "--shape", "tiny", "--steps", "1", "--seq", "64", "--quick", "--sweep").ShouldSucceed().Output;

        Assert.Matches("(?m)^ +128 +8 ", output);
        Assert.Matches("(?m)^ +256 +8 ", output);
        Assert.Matches("(?m)^ +64 +4 ", output);
    }

    [Fact]
    public void Training_GivenATable_ShouldGoOnFromItsPointsAndDrawThem()
    {
        using TemporaryFolder folder = new();
        (string table, string plot) = (Path.Combine(folder.Path, "points.csv"), Path.Combine(folder.Path, "plot.svg"));
        File.WriteAllText(table, "128,8,77,1000,10\n");
        string output = Tool.Bench(
            "training", "--shape", "tiny", "--steps", "1", "--seq", "64", "--quick", "--sweep", "--table", table, "--plot", plot).ShouldSucceed().Output;

        Assert.Matches("(?m)^ +128 +8 +77.000 ", output);
        Assert.Equal(["128,8", "256,8", "64,4", "64,8"], File.ReadLines(table).Select(line => string.Join(',', line.Split(',')[..2])).Order(StringComparer.Ordinal));
        Assert.Equal(2, System.Xml.Linq.XDocument.Load(plot).Root!.Elements().Count(element => element.Name.LocalName == "svg"));
    }

    [Fact]
    public void Decode_GivenTwoBatches_ShouldShowBoth()
    {
        string output = Tool.Bench("decode", "--shape", "tiny", "--batch", "1,3", "--tokens", "4", "--turns", "1", "--quick", "--no-peers").ShouldSucceed().Output;

        Assert.Matches("batch +1 PureQLora .* of the read bandwidth", output);
        Assert.Matches("batch +3 PureQLora .* times the first one", output);
    }

    [Fact]
    public void Quantise_GivenATinyShape_ShouldShowEachStageAndThePlan()
    {
        string output = Tool.Bench("quantise", "--shape", "tiny", "--blocks", "1", "--samples", "3", "--length", "40").ShouldSucceed().Output;

        Assert.Matches(@"(?m)^Hessians +\d", output);
        Assert.Contains("whole model, 2 blocks at this rate", output, StringComparison.Ordinal);
        Assert.Contains("peak resident memory", output, StringComparison.Ordinal);
    }

    [Fact]
    public void QuantiseShape_GivenTinyLlama_ShouldCountTheArithmeticOfItsStages()
    {
        QuantiseShape shape = new(ModelShape.Find("tinyllama"));

        // 32,505,856 weights without down, 11,534,336 in it; attention of 1024 tokens that see 256.5 on average, 32 heads of 64.
        double attention = 4.0 * 1024 * 256.5 * 2048;
        Assert.Equal((2.0 * 1024 * 32_505_856) + attention, shape.Operations(QuantizationStage.Calibration, new GptqOptions(), 1024, 512));
        Assert.Equal((2.0 * 1024 * 44_040_192) + attention, shape.Operations(QuantizationStage.Output, new GptqOptions(), 1024, 512));
        Assert.Equal(1024.0 * ((3 * 2048 * 2049) + (5632 * 5633)), shape.Operations(QuantizationStage.Hessian, new GptqOptions(), 1024, 512));
    }

    [Fact]
    public void Prefill_GivenAPeerFolderWithoutThePeer_ShouldSaySoAndMeasureOurs()
    {
        using TemporaryFolder folder = new();
        string output = Tool.Bench("prefill", "--shape", "tiny", "--tokens", "16", "--turns", "1", "--quick", "--llama-cpp", folder.Path).ShouldSucceed().Output;

        Assert.Contains("no peer: llama.cpp", output, StringComparison.Ordinal);
        Assert.Matches("16 tokens PureQLora .* tok/s best", output);
    }

    [Fact]
    public void Load_GivenATinyShape_ShouldShowTheTimeAndLeaveNothing()
    {
        using TemporaryFolder folder = new();
        string? before = Environment.GetEnvironmentVariable("TMPDIR");
        Environment.SetEnvironmentVariable("TMPDIR", folder.Path);
        try
        {
            string output = Tool.Bench("load", "--shape", "tiny", "--turns", "1", "--quick").ShouldSucceed().Output;

            Assert.Matches(@"opened +[0-9]+\.[0-9]+ s best", output);
            Assert.Empty(folder.Entries);
        }
        finally
        {
            Environment.SetEnvironmentVariable("TMPDIR", before);
        }
    }

    [Fact]
    public void Kernels_GivenNoPython_ShouldCompareProductsWithoutPyTorch()
    {
        string output = Tool.Bench("kernels", "--gemm", "--quick", "--python", "no-such-python").ShouldSucceed().Output;

        Assert.Contains("no peer: PyTorch: there is no program no-such-python", output, StringComparison.Ordinal);
        Assert.Matches("float32 +64 +256 +256 +PureQLora", output);
        Assert.Matches("int4 bfloat16 +64 +256 +256 +backward", output);
        Assert.Contains("of the read bandwidth", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Options_GivenMistakes_ShouldBeRefusedInOneSentence()
    {
        Tool.Bench("training", "--shape", "gpt").ShouldBeRefused("--shape is gpt", "tinyllama");
        Tool.Bench("training", "--shape", "tiny", "--seq", "1").ShouldBeRefused("--seq is 1", "2 to 4096");
        Tool.Bench("training", "--shape", "tiny", "--rank", "0").ShouldBeRefused("--rank is 0");
        Tool.Bench("training", "--shape", "tiny", "--steps", "0").ShouldBeRefused("--steps is 0");
        Tool.Bench("training", "--shape", "tiny", "--group-size", "0").ShouldBeRefused("--group-size is 0");
        Tool.Bench("training", "--precision", "half").ShouldBeRefused("--precision is half");
        Tool.Bench("decode", "--shape", "tiny", "--batch", "1,x").ShouldBeRefused("--batch is 1,x");
        Tool.Bench("decode", "--shape", "tiny", "--batch", "65").ShouldBeRefused("--batch is 65", "1 to 64");
        Tool.Bench("prefill", "--shape", "tiny", "--tokens", "5000").ShouldBeRefused("--tokens is 5000", "4096");
        Tool.Bench("load", "--shape", "tiny", "--threads", "-1").ShouldBeRefused("--threads is -1");
        Tool.Bench("kernels", "--filter", "nothing").ShouldBeRefused("--filter nothing", "MatMul");
    }

    [Fact]
    public void Arithmetic_GivenATinyShape_ShouldCountThePassesOfEachWeight()
    {
        LlamaConfig config = ModelShape.Find("tiny");
        using LlamaModel model = new(config, new RandomQuantizedWeights(config, groupSize: 64, seed: 1));
        LoraInjection.Inject(model, new LoraConfig { Rank = 4, TargetModules = ["q_proj"] }, seed: 1);

        TrainingArithmetic arithmetic = TrainingArithmetic.Of(model, seq: 10);

        // A block: q and o [128, 128], k and v [64, 128], three of [256, 128]; two blocks; head [512, 128].
        const double Blocks = 2 * ((2 * 128 * 128) + (2 * 64 * 128) + (3 * 256 * 128));
        // Nobody reads the result of the last of them in the recomputation.
        const double Down = 2 * 256 * 128;
        Assert.Equal(2 * 10 * ((3 * Blocks) - Down + (2 * 512 * 128)), arithmetic.Weights);
        Assert.Equal(2 * 10 * 4 * (2 * 4 * (128 + 128)), arithmetic.Adapters);
        Assert.Equal(4.5 * 2 * 4 * 55 * 128, arithmetic.Attention);
    }

    [Fact]
    public void Gguf_GivenATinyShape_ShouldEndWithItsLastTensor()
    {
        using TemporaryFolder folder = new();
        LlamaConfig config = ModelShape.Find("tiny");

        RandomGguf.Write(folder["model.gguf"], config);

        byte[] file = File.ReadAllBytes(folder["model.gguf"]);
        Assert.Equal("GGUF"u8, file.AsSpan(0, 4));
        Assert.Equal(3 + (config.Layers * 9), BitConverter.ToInt64(file, 8));

        // Everything is a multiple of 32 bytes long but Q4_0 matrices, which are filled up to that.
        long weights = ModelShape.ProductWeights(config) + ModelShape.HeadWeights(config);
        long norms = (1 + (2 * config.Layers)) * config.HiddenSize * sizeof(float);
        Assert.Equal(0, file.Length % 32);
        Assert.InRange(file.Length, (weights / 32 * 18) + norms, (weights / 32 * 18) + norms + 32_768);
    }

    [Fact]
    public void Contestants_GivenTurns_ShouldAlternateAndNotCountTheFirst()
    {
        List<string> order = [];
        double seconds = 9;
        Contestant a = new("a", () => { order.Add("a"); return seconds--; });
        Contestant b = new("b", () => { order.Add("b"); return 1; });

        Contestant.Compete(3, [a, b], CancellationToken.None);

        Assert.Equal("a,b,a,b,a,b,a,b", string.Join(',', order));
        Assert.Equal([8, 7, 6], a.Seconds);
        Assert.Equal((6, 7), (a.Best, a.Median));
    }

    [Fact]
    public void Limits_GivenThisMachine_ShouldBePlausible()
    {
        MachineLimits limits = MachineLimits.Measure(1, quick: true);

        Assert.InRange(limits.Fma, 1e9, 1e13);
        Assert.InRange(limits.Read, 1e8, 1e12);
        Assert.Equal(CpuBackend.SupportedTier >= CpuTier.Avx512BFloat16, limits.BFloat16 is not null);
        Assert.Equal("FMA peak", limits.PeakOf(Precision.Float32).Name);
        Assert.NotEqual("", ProcessorName.Read());
    }
}
