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
    /// <param name="otherwise">The device where none is named.</param>
    public static Option<string> Device(string otherwise = "auto") => new("--device")
    {
        Description = "auto (the GPU where there is one, else the CPU), cpu or cuda; simulation runs the GPU's kernels on the CPU, very slowly, to try them.",
        DefaultValueFactory = _ => otherwise,
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

    /// <summary>Refuses a number of threads that nobody can mean.</summary>
    /// <exception cref="UserErrorException">It is negative or above 1024.</exception>
    public static void RequireThreads(int threads)
    {
        if (threads is < 0 or > 1024)
        {
            throw new UserErrorException($"--threads is {threads}, allowed 0 (one a processor) to 1024.");
        }
    }

    /// <summary>Starts the processor.</summary>
    /// <exception cref="UserErrorException">The number of threads is out of range.</exception>
    public static CpuBackend CreateProcessor(int threads)
    {
        RequireThreads(threads);
        return new CpuBackend(threads);
    }

    /// <summary>Prints what computes and how it rounds; gives the precision that holds.</summary>
    /// <exception cref="UserErrorException">The device does not compute in that precision.</exception>
    public static Precision ShowDevice(DeviceChoice device, Precision? asked)
    {
        ArgumentNullException.ThrowIfNull(device);
        Precision precision = PrecisionOf(device, asked);
        System.Console.WriteLine($"device  {device.Description}; {precision.Name()}");
        return precision;
    }

    /// <summary>The precision that was asked for, or else the device's.</summary>
    /// <exception cref="UserErrorException">The device does not compute in that precision.</exception>
    public static Precision PrecisionOf(DeviceChoice device, Precision? asked)
    {
        ArgumentNullException.ThrowIfNull(device);
        return asked is Precision.Int8 && device.Device is not null
            ? throw new UserErrorException("--precision is int8, which only the CPU has; use --precision bfloat16 or float32, or --device cpu.")
            : asked ?? device.Backend.PreferredPrecision;
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
