using System.CommandLine;
using System.CommandLine.Parsing;
using PureQLora.Core;

namespace PureQLora.Tools;

/// <summary>Options that mean the same in every tool.</summary>
public static class CommonOptions
{
    /// <summary><c>--model</c>, required.</summary>
    public static Option<string> Model() => new Option<string>("--model") { Description = "Folder with config.json, weights and tokenizer.", Required = true }.NotEmpty();

    /// <summary><c>--adapter</c></summary>
    public static Option<string?> Adapter() => new Option<string?>("--adapter") { Description = "PEFT folder with adapter_config.json and adapter_model.safetensors." }.NotEmpty();

    /// <summary><c>--output</c>, a folder that must be empty or absent.</summary>
    public static Option<string> OutputFolder() => new Option<string>("--output") { Description = "Folder to write; it must be empty or absent.", Required = true }.NotEmpty();

    /// <summary><c>--threads</c></summary>
    public static Option<int> Threads() => new("--threads")
    {
        Description = "Threads that compute; 0 takes one a processor. Results do not depend on it.",
        DefaultValueFactory = _ => 0,
    };

    /// <summary><c>--precision</c>; null where it is left to the device.</summary>
    public static Option<Precision?> PrecisionOption() => new("--precision")
    {
        Description = "Rounding of the operands of matrix products: auto, float32, bfloat16 or int8 (activations of decoding, on quantised weights); sums are float32. auto: bfloat16 where the processor multiplies it faster.",
        CustomParser = ParsePrecision,
    };

    /// <summary><c>--device</c></summary>
    public static Option<string> Device() => new("--device")
    {
        Description = "auto, cpu or cuda.",
        DefaultValueFactory = _ => "auto",
    };

    /// <summary>Refuses an empty path, which is nobody's intention.</summary>
    public static Option<T> NotEmpty<T>(this Option<T> option)
    {
        ArgumentNullException.ThrowIfNull(option);
        option.Validators.Add(result =>
        {
            if (result.Tokens.Any(token => token.Value.Length == 0))
            {
                result.AddError($"{option.Name} is empty; name a file or folder.");
            }
        });
        return option;
    }

    /// <summary>Starts the backend that was asked for; never another one in silence.</summary>
    /// <exception cref="UserErrorException">The device is unknown or not available.</exception>
    public static CpuBackend CreateBackend(string device, int threads)
    {
        if (threads is < 0 or > 1024)
        {
            throw new UserErrorException($"--threads is {threads}, allowed 0 (one a processor) to 1024.");
        }

        return device switch
        {
            "auto" or "cpu" => new CpuBackend(threads),
            "cuda" => throw new UserErrorException("--device cuda is not available in this version, which computes on the CPU; use --device cpu."),
            _ => throw new UserErrorException($"--device is {device}, allowed auto, cpu and cuda."),
        };
    }

    /// <summary>Prints what computes and how it rounds; gives the precision that holds.</summary>
    public static Precision ShowDevice(IBackend backend, Precision? asked)
    {
        ArgumentNullException.ThrowIfNull(backend);
        Precision precision = asked ?? backend.PreferredPrecision;
        System.Console.WriteLine($"device  {backend.Description}; {precision.Name()}");
        return precision;
    }

    /// <summary>Refuses an output folder that holds something.</summary>
    /// <exception cref="UserErrorException">It is a file, or not empty.</exception>
    public static void RequireEmpty(string folder)
    {
        if (File.Exists(folder))
        {
            throw new UserErrorException($"{folder} is a file; name a folder that is empty or absent.");
        }

        if (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any())
        {
            throw new UserErrorException($"The output folder {folder} is not empty; name another one, or delete it first.");
        }
    }

    private static Precision? ParsePrecision(ArgumentResult result)
    {
        string text = result.Tokens.Count == 1 ? result.Tokens[0].Value : "";
        switch (text)
        {
            case "auto":
                return null;
            case "float32":
                return Precision.Float32;
            case "bfloat16":
                return Precision.BFloat16;
            case "int8":
                return Precision.Int8;
            default:
                result.AddError($"--precision is {text}, allowed auto, float32, bfloat16 and int8.");
                return default;
        }
    }
}
