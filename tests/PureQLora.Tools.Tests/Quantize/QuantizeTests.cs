using System.Diagnostics;
using System.Text.Json;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Tests;

public sealed class QuantizeTests : IDisposable
{
    private const string Jsonl = """
        {"question": "Tom has 3 apples and buys 4. How many?", "answer": "3 + 4 = <<3+4=7>>7\n#### 7"}
        {"question": "Ann had 9 pens and lost 2. How many?", "answer": "9 - 2 = <<9-2=7>>7\n#### 7"}
        """;

    private readonly TemporaryFolder _temporary = new();

    public void Dispose() => _temporary.Dispose();

    [Theory]
    [InlineData("ids.json", "[[1, 5, 9, 400, 33, 7, 21], [1, 80, 90, 100]]", 2, 11)]
    [InlineData("gsm.jsonl", Jsonl, 2, null)]
    [InlineData("pairs.jsonl", "{\"prompt\": \"one two\", \"completion\": \" three\"}", 1, null)]
    [InlineData("text.txt", "[Once] upon a time there was a fox. It ran. It slept. It woke up again and ran to the river to drink.", null, null)]
    [InlineData("notes", "Once upon a time there was a fox. It ran. It slept. It woke up again and ran to the river to drink.", null, null)]
    public void Gptq_GivenAnyCalibrationFormat_ShouldWriteACheckpointThatLoads(string file, string content, int? samples, int? tokens)
    {
        string model = SmallModel.Write(_temporary["model"]);
        string calibration = _temporary.Write(file, content);
        ToolResult result = Tool.Quantize("--model", model, "--output", _temporary["out"], "--calibration", calibration, "--group-size", "32", "--calibration-length", "12").ShouldSucceed();
        Assert.Equal(((string[])[file, "model", "out"]).Order(StringComparer.Ordinal), _temporary.Entries);
        Assert.Equal(SmallModel.Layers * 7, result.Output.Split('\n').Count(line => line.Contains("round-to-nearest", StringComparison.Ordinal) && line.Contains("loss ", StringComparison.Ordinal) && line.StartsWith("model.layers", StringComparison.Ordinal)));
        using JsonDocument report = JsonDocument.Parse(File.ReadAllText(Path.Combine(_temporary["out"], "quantization_report.json")));
        JsonElement used = report.RootElement.GetProperty("calibration");
        Assert.Equal(SmallModel.Layers * 7, report.RootElement.GetProperty("layers").GetArrayLength());
        Assert.InRange(report.RootElement.GetProperty("loss_over_round_to_nearest").GetProperty("of_sums").GetDouble(), 1e-9, 0.95);
        Assert.True(report.RootElement.GetProperty("bytes_after").GetInt64() < report.RootElement.GetProperty("bytes_before").GetInt64());
        Assert.True(samples is null || used.GetProperty("samples").GetInt32() == samples);
        Assert.True(tokens is null || used.GetProperty("tokens").GetInt32() == tokens);
        using ModelFolder written = ModelFolder.Open(_temporary["out"]);
        Assert.All(written.Model.Linears, layer => Assert.Equal(4, layer.Weight.Quantized!.Bits));
        Assert.NotEmpty(written.Tokenizer.Encode("fox"));
    }

    [Theory]
    [InlineData("--bits 4 --group-size 32", 4)]
    [InlineData("--bits 8 --group-size -1 --symmetric", 8)]
    [InlineData("--bits 3 --group-size 64", 3)]
    [InlineData("--bits 2 --group-size 16 --format gptq_v2", 2)]
    public void Rtn_GivenAnyGrid_ShouldNeedNoCalibration(string options, int bits)
    {
        string model = SmallModel.Write(_temporary["model"]);
        Tool.Quantize(["--model", model, "--output", _temporary["out"], "--method", "rtn", .. options.Split(' ')]).ShouldSucceed();
        using ModelFolder before = ModelFolder.Open(model);
        using ModelFolder after = ModelFolder.Open(_temporary["out"]);
        foreach ((LinearLayer dense, LinearLayer quantized) in before.Model.Linears.Zip(after.Model.Linears))
        {
            Assert.Equal(bits, quantized.Weight.Quantized!.Bits);
            float[] weights = dense.Weight.Dense!.ToArray();
            QuantizedMatrix matrix = quantized.Weight.Quantized!;
            for (int row = 0; row < matrix.OutDim; row++)
            {
                for (int column = 0; column < matrix.InDim; column++)
                {
                    // Half a step, and what rounding the scale to float16 costs over the range of the codes.
                    float step = matrix.Scale(row, matrix.GroupOf(column));
                    float allowed = step * (0.5f + ((1 << bits) / 2048f));
                    Assert.InRange(matrix[row, column] - weights[(row * matrix.InDim) + column], -allowed, allowed);
                }
            }
        }
    }

    [Theory]
    [InlineData("", 64, false)]
    [InlineData("--double-quant", 64, true)]
    [InlineData("--block 256 --targets q_proj,down_proj --threads 1", 256, false)]
    public void Nf4_GivenAnyBlock_ShouldWriteABitsAndBytesFolderThatEveryToolTakes(string options, int block, bool doubled)
    {
        string model = SmallModel.Write(_temporary["model"]);
        string[] more = options.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        bool some = more.Contains("--targets");
        ToolResult result = Tool.Quantize(["--model", model, "--output", _temporary["out"], "--method", "nf4", .. more]).ShouldSucceed();

        Assert.Contains("relative error", result.Output, StringComparison.Ordinal);
        using ModelFolder dense = ModelFolder.Open(model);
        using (ModelFolder written = ModelFolder.Open(_temporary["out"]))
        {
            foreach ((LinearLayer before, LinearLayer after) in dense.Model.Linears.Zip(written.Model.Linears))
            {
                Assert.Equal(!some || after.ShortName is "q_proj" or "down_proj", after.Weight.Quantized is not null);
                if (after.Weight.Quantized is { } quantized)
                {
                    BlockwiseMatrix expected = BlockwiseQuantizer.Quantize(
                        before.Weight.Dense!.ToArray(), quantized.OutDim, new BlockwiseOptions { BlockSize = block, DoubleQuantization = doubled }, "layer");
                    using QuantizedMatrix values = expected.ToMatrix();
                    Assert.Equal(values.Dequantize(), quantized.Dequantize());
                }
            }
        }

        using JsonDocument report = JsonDocument.Parse(File.ReadAllText(Path.Combine(_temporary["out"], "quantization_report.json")));
        Assert.Equal("nf4", report.RootElement.GetProperty("method").GetString());
        Assert.Equal(SmallModel.Layers * (some ? 2 : 7), report.RootElement.GetProperty("layers").GetArrayLength());
        Assert.InRange(report.RootElement.GetProperty("relative_error_mean").GetDouble(), 0.05, 0.15);

        Assert.Contains("nf4", Tool.Inspect("model", _temporary["out"]).ShouldSucceed().Output, StringComparison.Ordinal);
        Assert.NotEqual("", Tool.Generate("--model", _temporary["out"], "--prompt", "Once upon", "--max-new-tokens", "4").ShouldSucceed().Output.Trim());
        string ids = _temporary.Write("ids.json", "[[1, 5, 9, 400, 33, 7, 21], [1, 80, 90, 100]]");
        foreach (string precision in new[] { "float32", "bfloat16", "int8" })
        {
            Tool.Evaluate("perplexity", "--model", _temporary["out"], "--token-ids", ids, "--precision", precision, "--output", _temporary[$"{precision}.json"]).ShouldSucceed();
            using JsonDocument perplexity = JsonDocument.Parse(File.ReadAllText(_temporary[$"{precision}.json"]));
            Assert.InRange(perplexity.RootElement.GetProperty("perplexity").GetDouble(), 1, 1e4);
        }

        Tool.Quantize("--model", _temporary["out"], "--output", _temporary["twice"], "--method", "rtn").ShouldBeRefused("bitsandbytes nf4");
    }

    [Theory]
    [InlineData("--method nf4 --bits 3", "--bits")]
    [InlineData("--method nf4 --group-size 64", "--group-size")]
    [InlineData("--method nf4 --calibration ids.json", "--calibration")]
    [InlineData("--method nf4 --format gptq", "--format")]
    [InlineData("--method nf4 --block 100", "powers of two")]
    [InlineData("--method nf4 --block 8192", "powers of two")]
    [InlineData("--method nf4 --targets w_proj", "w_proj")]
    [InlineData("--method rtn --block 64", "--block")]
    [InlineData("--method rtn --double-quant", "--double-quant")]
    public void Nf4_GivenOptionsThatDoNotGoTogether_ShouldRefuseAndLeaveNothing(string options, string word)
    {
        string model = SmallModel.Write(_temporary["model"]);
        Tool.Quantize(["--model", model, "--output", _temporary["out"], .. options.Split(' ')]).ShouldBeRefused(word);
        Assert.Equal(["model"], _temporary.Entries);
    }

    [Fact]
    public void Gptq_GivenActOrder_ShouldKeepTheGroupsInTheFile()
    {
        string model = SmallModel.Write(_temporary["model"]);
        string ids = _temporary.Write("ids.json", "[[1, 5, 9, 400, 33, 7, 21], [1, 80, 90, 100]]");
        Tool.Quantize("--model", model, "--output", _temporary["out"], "--calibration", ids, "--group-size", "16", "--act-order").ShouldSucceed();
        using ModelFolder written = ModelFolder.Open(_temporary["out"]);
        Assert.True(((GptqConfig)written.Checkpoint.Config.Quantization!).DescendingActivations);
        Assert.False(written.Model.Linears.First().Weight.Quantized!.GroupIndex.IsEmpty);
    }

    [Theory]
    [InlineData("--refine", 4)]
    [InlineData("--refine search,descent --bits 3 --act-order --format gptq_v2", 3)]
    [InlineData("--refine target,sequential,order --target-strength 0.5 --bits 2", 2)]
    public void Refine_GivenSomeParts_ShouldWriteACheckpointThatLoadsAsItWasMade(string options, int bits)
    {
        string model = SmallModel.Write(_temporary["model"]);
        string ids = _temporary.Write("ids.json", "[[1, 5, 9, 400, 33, 7, 21], [1, 80, 90, 100, 500, 600, 7, 8, 9]]");
        Tool.Quantize(["--model", model, "--output", _temporary["out"], "--calibration", ids, "--group-size", "16", .. options.Split(' ')]).ShouldSucceed();
        using ModelFolder written = ModelFolder.Open(_temporary["out"]);
        Assert.All(written.Model.Linears, layer => Assert.Equal(bits, layer.Weight.Quantized!.Bits));
        Assert.Equal(options.Contains("--act-order", StringComparison.Ordinal), ((GptqConfig)written.Checkpoint.Config.Quantization!).DescendingActivations);

        // The same in this process: what the file holds is what was optimised, bit for bit.
        using ModelFolder again = ModelFolder.Open(model);
        using CpuBackend backend = new(threads: 2);
        GptqOptions wanted = new GptqOptions { Bits = bits, GroupSize = 16, ActOrder = options.Contains("--act-order", StringComparison.Ordinal), CalibrationPrecision = backend.PreferredPrecision, TargetStrength = options.Contains("strength", StringComparison.Ordinal) ? 0.5 : null }
            .WithRefinements(options.Split(' ') is [_, { } list, ..] && !list.StartsWith('-') ? list : "all");
        ModelQuantizer.Quantize(again.Model, backend, QuantizationMethod.Gptq, wanted, [[1, 5, 9, 400, 33, 7, 21], [1, 80, 90, 100, 500, 600, 7, 8, 9]]);
        Assert.All(again.Model.Linears.Zip(written.Model.Linears), pair => Assert.Equal(pair.First.Weight.Quantized!.Dequantize(), pair.Second.Weight.Quantized!.Dequantize()));
    }

    [Fact]
    public void AverageBits_GivenABudget_ShouldWriteDynamicSettingsThatReadBackAndCompareInTheReport()
    {
        string model = SmallModel.Write(_temporary["model"]);
        string ids = _temporary.Write("ids.json", "[[1, 5, 9, 400, 33, 7, 21], [1, 80, 90, 100, 500, 600, 7, 8, 9]]");
        string unseen = _temporary.Write("unseen.json", "[[1, 6, 90, 40, 331, 72, 11], [1, 180, 190, 200, 300]]");
        Tool.Quantize("--model", model, "--output", _temporary["out"], "--calibration", ids, "--average-bits", "3.8", "--refine", "--evaluation", unseen, "--compare").ShouldSucceed();

        using ModelFolder written = ModelFolder.Open(_temporary["out"]);
        (long bits, long weights) = (0, 0);
        foreach (LinearLayer layer in written.Model.Linears)
        {
            QuantizedMatrix matrix = layer.Weight.Quantized!;
            bits += new LayerSettings(matrix.Bits, matrix.GroupSize).StoredBits(matrix.OutDim, matrix.InDim);
            weights += (long)matrix.OutDim * matrix.InDim;
        }

        Assert.InRange((double)bits / weights, 3, 3.8);
        GptqConfig settings = (GptqConfig)written.Checkpoint.Config.Quantization!;
        Assert.NotEmpty(settings.Dynamic);
        Assert.False(settings.DescendingActivations);
        using JsonDocument report = JsonDocument.Parse(File.ReadAllText(Path.Combine(_temporary["out"], "quantization_report.json")));
        Assert.Equal((double)bits / weights, report.RootElement.GetProperty("mixed_precision").GetProperty("average_bits").GetDouble(), 1e-9);
        Assert.Equal(
            ["full precision", "round to nearest", "GPTQ", "GPTQ refined"],
            report.RootElement.GetProperty("variants").EnumerateArray().Select(variant => variant.GetProperty("name").GetString()));
        Assert.All(report.RootElement.GetProperty("variants").EnumerateArray(), variant => Assert.InRange(variant.GetProperty("perplexity").GetDouble(), 1, 1e5));
        string page = File.ReadAllText(Path.Combine(_temporary["out"], "quantization_report.html"));
        Assert.Contains("model.layers.1.mlp.down_proj", page, StringComparison.Ordinal);
        Assert.Contains("GPTQ refined", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<script", page, StringComparison.Ordinal);
        Assert.StartsWith("<svg", File.ReadAllText(Path.Combine(_temporary["out"], "mixed_precision.svg")), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("gptq")]
    [InlineData("rtn")]
    public void Distill_GivenSteps_ShouldKeepTheCodesAndReportTheDivergence(string method)
    {
        string model = SmallModel.Write(_temporary["model"]);
        string ids = _temporary.Write("ids.json", JsonSerializer.Serialize(Enumerable.Range(0, 8).Select(i => Enumerable.Range(0, 40).Select(j => ((i * 131) + (j * 17)) % 639))));
        string[] options = ["--model", model, "--method", method, "--bits", "2", "--group-size", "32", "--calibration", ids];
        Tool.Quantize([.. options, "--output", _temporary["plain"]]).ShouldSucceed();

        ToolResult result = Tool.Quantize([.. options, "--output", _temporary["out"], "--distill", "6"]).ShouldSucceed();

        Assert.Contains("held-out divergence", result.Output, StringComparison.Ordinal);
        using JsonDocument report = JsonDocument.Parse(File.ReadAllText(Path.Combine(_temporary["out"], "quantization_report.json")));
        JsonElement distillation = report.RootElement.GetProperty("distillation");
        Assert.InRange(distillation.GetProperty("divergence_after").GetDouble(), 0, 0.999 * distillation.GetProperty("divergence_before").GetDouble());
        using ModelFolder plain = ModelFolder.Open(_temporary["plain"]);
        using ModelFolder distilled = ModelFolder.Open(_temporary["out"]);
        foreach ((LinearLayer before, LinearLayer after) in plain.Model.Linears.Zip(distilled.Model.Linears))
        {
            int[] words = new int[before.Weight.OutDim * before.Weight.InDim / 16];
            int[] wordsAfter = new int[words.Length];
            before.Weight.Quantized!.CopyWords(words);
            after.Weight.Quantized!.CopyWords(wordsAfter);
            Assert.Equal(words, wordsAfter);
            Assert.NotEqual(before.Weight.Quantized.Dequantize(), after.Weight.Quantized.Dequantize());
        }
    }

    [Theory]
    [InlineData("--init error", "all")]
    [InlineData("--init loftq --loftq-iterations 3 --rank 3 --alpha 3", "q_proj,down_proj")]
    [InlineData("--init loftq --method rtn", "all")]
    public void Init_GivenAStart_ShouldWriteAnAdapterThatLoadsAndComesNearer(string options, string targets)
    {
        string model = SmallModel.Write(_temporary["model"]);
        string ids = _temporary.Write("ids.json", "[[1, 5, 9, 400, 33, 7, 21, 8, 9, 10, 55, 60, 61], [1, 80, 90, 100, 3, 4]]");
        Tool.Quantize(["--model", model, "--output", _temporary["out"], "--bits", "2", "--group-size", "32", "--calibration", ids, "--targets", targets, .. options.Split(' ')]).ShouldSucceed();
        using ModelFolder full = ModelFolder.Open(model);
        using ModelFolder written = ModelFolder.Open(_temporary["out"], Path.Combine(_temporary["out"], "adapter"));
        foreach ((LinearLayer original, LinearLayer layer) in full.Model.Linears.Zip(written.Model.Linears))
        {
            Assert.Equal(layer.Weight.Quantized is not null, layer.Adapter is not null);
            if (layer.Adapter is not null)
            {
                float[] weights = original.Weight.Dense!.ToArray();
                Assert.True(Distance(LoraMerge.MergedWeight(layer), weights) < Distance(layer.Weight.Quantized!.Dequantize(), weights));
            }
        }

        static double Distance(float[] a, float[] b) => a.Zip(b, (x, y) => (double)(x - y) * (x - y)).Sum();
    }

    [Fact]
    public void Targets_GivenSomeLayers_ShouldLeaveTheOthersDense()
    {
        string model = SmallModel.Write(_temporary["model"]);
        Tool.Quantize("--model", model, "--output", _temporary["out"], "--method", "rtn", "--targets", "q_proj,v_proj", "--group-size", "32").ShouldSucceed();
        using ModelFolder written = ModelFolder.Open(_temporary["out"]);
        Assert.All(written.Model.Linears, layer => Assert.Equal(layer.ShortName is "q_proj" or "v_proj", layer.Weight.Quantized is not null));
    }

    [Theory]
    [InlineData("", "--calibration")]
    [InlineData("--method magic", "rtn")]
    [InlineData("--format v3", "gptq_v2")]
    [InlineData("--method rtn --bits 5", "2, 3, 4 or 8")]
    [InlineData("--method rtn --group-size 0", "group size")]
    [InlineData("--method rtn --damping 2", "damping")]
    [InlineData("--method rtn --damping NaN", "damping")]
    [InlineData("--method rtn --targets q_proj,w_proj", "w_proj")]
    [InlineData("--method rtn --targets ,", "--targets")]
    [InlineData("--method rtn --bits four", "--bits")]
    [InlineData("--method rtn --refine", "--refine")]
    [InlineData("--method rtn --average-bits 4", "--average-bits")]
    [InlineData("--calibration ids.json --refine serch", "serch")]
    [InlineData("--calibration ids.json --refine --target-strength 2", "target strength")]
    [InlineData("--calibration ids.json --average-bits 1", "2.")]
    [InlineData("--calibration ids.json --evaluation absent.txt", "absent.txt")]
    [InlineData("--calibration ids.json --calibration-samples 0", "0 samples")]
    [InlineData("--calibration ids.json --calibration-length 1", "1 tokens")]
    [InlineData("--calibration ids.json --calibration-length 100000", "256 positions")]
    [InlineData("--method rtn --distill 5", "--calibration")]
    [InlineData("--calibration ids.json --distill 0", "allowed 1")]
    [InlineData("--method rtn --init error", "--calibration")]
    [InlineData("--method rtn --init pissa", "zero, loftq and error")]
    [InlineData("--method rtn --init loftq --rank 0", "lora.rank")]
    [InlineData("--method rtn --init loftq --loftq-iterations 0", "0 times")]
    [InlineData("--calibration ids.json --init loftq --loftq-iterations 2 --distill 5", "undo")]
    [InlineData("--calibration ids.json --init loftq --loftq-iterations 2 --average-bits 3.8", "undo")]
    [InlineData("--calibration ids.json --distill 5", "at least 2")]
    [InlineData("--calibration absent.jsonl", "absent.jsonl")]
    [InlineData("--calibration empty.jsonl", "no record")]
    [InlineData("--calibration empty.txt", "no text")]
    [InlineData("--calibration broken.jsonl", "line 2")]
    [InlineData("--calibration unmarked.jsonl", "####")]
    [InlineData("--calibration far.json", "639")]
    [InlineData("--calibration wrong.json", "row 2")]
    public void Quantize_GivenBadOptionsOrData_ShouldRefuseAndLeaveNothing(string options, string word)
    {
        string model = SmallModel.Write(_temporary["model"]);
        Directory.CreateDirectory(_temporary["data"]);
        foreach ((string name, string text) in (ReadOnlySpan<(string, string)>)[
            ("ids.json", "[[1, 2, 3]]"), ("empty.jsonl", ""), ("empty.txt", " \n"), ("far.json", "[[1, 700]]"), ("wrong.json", "[[1, 2], 3]"),
            ("broken.jsonl", "{\"text\": \"a\"}\noops"), ("unmarked.jsonl", "{\"question\": \"q\", \"answer\": \"seven\"}")])
        {
            _temporary.Write(Path.Combine("data", name), text);
        }

        string[] arguments = [.. options.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(part => part.Contains(".j", StringComparison.Ordinal) || part.EndsWith(".txt", StringComparison.Ordinal) ? Path.Combine(_temporary["data"], part) : part)];
        Tool.Quantize(["--model", model, "--output", _temporary["out"], .. arguments]).ShouldBeRefused(word);
        Assert.Equal(["data", "model"], _temporary.Entries);
    }

    [Fact]
    public void Quantize_GivenAModelThatDoesNotFit_ShouldRefuseBeforeTheWork()
    {
        string quantized = RepositoryPaths.Fixture("quantization", "checkpoints", "gptq_b4_g64_sym");
        Tool.Quantize("--model", quantized, "--output", _temporary["out"], "--method", "rtn").ShouldBeRefused("quantised already");
        Assert.Empty(_temporary.Entries);
    }

    [Fact]
    public void Quantize_GivenSidesThatFillNoWords_ShouldPadThemSayItAndReadThemBack()
    {
        string model = RepositoryPaths.Fixture("models", "llama3-gqa");
        ToolResult odd = Tool.Quantize("--model", model, "--output", _temporary["out"], "--method", "rtn", "--bits", "3", "--group-size", "16");

        Assert.Equal(0, odd.ExitCode);
        Assert.Contains("multiple of 32", odd.Error, StringComparison.Ordinal);
        using ModelFolder dense = ModelFolder.Open(model);
        using ModelFolder read = ModelFolder.Open(_temporary["out"]);
        foreach ((LinearLayer before, LinearLayer after) in dense.Model.Linears.Zip(read.Model.Linears))
        {
            GptqOptions options = new() { Bits = 3, GroupSize = 16 };
            float[] expected = RoundToNearestQuantizer.Quantize(before.Weight.Dense!.ToArray(), before.Weight.OutDim, options, before.Name).Dequantize();
            Assert.Equal(expected, after.Weight.Quantized!.Dequantize());
        }
    }

    [Fact]
    public void Output_GivenAPlaceThatCannotBeTaken_ShouldRefuseBeforeTheWork()
    {
        string model = RepositoryPaths.Fixture("models", "llama-mha");
        string file = _temporary.Write("file", "x");
        foreach (string output in (string[])[Path.Combine(file, "below"), Path.Combine(file, "far", "below")])
        {
            ToolResult result = Tool.Quantize("--model", model, "--output", output, "--method", "rtn");
            result.ShouldBeRefused("cannot be made");
            Assert.DoesNotContain("rounded to nearest", result.Output, StringComparison.Ordinal);
        }

        Tool.Quantize("--model", model, "--output", file, "--method", "rtn").ShouldBeRefused("is a file");
        Tool.Quantize("--model", model, "--output", _temporary.Path, "--method", "rtn").ShouldBeRefused("not empty");
        Assert.Equal(["file"], _temporary.Entries);
    }

    [Fact]
    public void Output_GivenAnEmptyOrNestedFolder_ShouldBeTaken()
    {
        string model = RepositoryPaths.Fixture("models", "llama-mha");
        Directory.CreateDirectory(_temporary["empty"]);
        Tool.Quantize("--model", model, "--output", _temporary["empty"] + "/", "--method", "rtn").ShouldSucceed();
        Tool.Quantize("--model", model, "--output", Path.Combine(_temporary["a"], "b", "c"), "--method", "rtn").ShouldSucceed();
        Assert.True(File.Exists(Path.Combine(_temporary["empty"], "model.safetensors")));
        Assert.True(File.Exists(Path.Combine(_temporary["a"], "b", "c", "model.safetensors")));
    }

    [Fact]
    public void Quantize_GivenCtrlC_ShouldLeaveNothing()
    {
        string model = SmallModel.Write(_temporary["model"]);
        using CancellingWriter output = new("model.layers.0.self_attn.k_proj");
        ToolResult result = Tool.Run(
            PureQLora.Tools.Quantize.Program.Main, ["--model", model, "--output", Path.Combine(_temporary["deep"], "out"), "--method", "rtn", "--group-size", "32"], output);
        result.ShouldFail(ToolProgram.Failure, "Cancelled");
        Assert.DoesNotContain("model.layers.1", result.Output, StringComparison.Ordinal);
        Assert.Equal(["model"], _temporary.Entries);
    }

    [Fact]
    public async Task Quantize_GivenADiskThatFillsUp_ShouldLeaveNothing()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Limits the size of files with the shell's ulimit.");
        string model = SmallModel.Write(_temporary["model"]);
        string tool = Path.Combine(AppContext.BaseDirectory, "Quantize.dll");

        // The limit makes writes fail as a full disk does; the runtime's own files in memory need their size.
        ProcessStartInfo start = new("bash") { RedirectStandardError = true, RedirectStandardOutput = true };
        start.ArgumentList.Add("-c");
        start.ArgumentList.Add(
            $"trap '' XFSZ; ulimit -f 64; exec dotnet exec --runtimeconfig \"{Path.ChangeExtension(tool, ".runtimeconfig.json")}\" \"{tool}\""
            + $" --model \"{model}\" --output \"{_temporary["out"]}\" --method rtn --group-size 32");
        start.Environment["LC_ALL"] = "C";
        start.Environment["DOTNET_EnableWriteXorExecute"] = "0";
        start.Environment["DOTNET_EnableDiagnostics"] = "0";
        using Process process = Process.Start(start)!;
        Task<string> error = process.StandardError.ReadToEndAsync();
        string output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        new ToolResult(process.ExitCode, output, await error).ShouldBeRefused("could not be written");
        Assert.Contains("down_proj", output, StringComparison.Ordinal);
        Assert.Equal(["model"], _temporary.Entries);
    }

    [Fact]
    public void Gptq_GivenARealModel_ShouldReachTheReferenceTable()
    {
        string model = RepositoryPaths.Shared("golden", "models_real", "stories3M");
        GoldenTensors golden = GoldenTensors.Read(RepositoryPaths.Shared("golden", "quantization", "perplexity", "stories3M.safetensors"));

        // A quarter of the calibration and of the windows keeps this short; the full table is measured by the note of the release.
        int[][] calibration = [.. golden.Ints("calibration_ids").Chunk(256).Take(16).Select(row => (int[])[1, .. row[..^1]])];
        int[][] evaluation = [.. golden.Ints("eval_ids").Chunk(256).Take(10)];
        string ids = _temporary.Write("ids.json", JsonSerializer.Serialize(evaluation));
        double Perplexity(params string[] options)
        {
            Tool.Quantize(["--model", model, "--output", _temporary["out"], "--bits", "4", "--group-size", "64", .. options]).ShouldSucceed();
            Tool.Evaluate("perplexity", "--model", _temporary["out"], "--token-ids", ids, "--output", _temporary["p.json"], "--precision", "float32").ShouldSucceed();
            Directory.Delete(_temporary["out"], recursive: true);
            using JsonDocument result = JsonDocument.Parse(File.ReadAllText(_temporary["p.json"]));
            return result.RootElement.GetProperty("perplexity").GetDouble();
        }

        double gptq = Perplexity("--calibration", _temporary.Write("calibration.json", JsonSerializer.Serialize(calibration)));
        double full = Math.Exp(golden.Doubles("nll fp32").Take(2560).Average());
        double reference = Math.Exp(golden.Doubles("nll gptq b4 g64").Take(2560).Average());
        Assert.InRange(gptq, full, reference * 1.05);
        Assert.True(gptq < Perplexity("--method", "rtn"));
    }
}
