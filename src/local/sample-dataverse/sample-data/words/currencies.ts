/** A currency, and how many units of it a euro buys, roughly as in autumn 2025. */
export interface Currency {
  code: string;
  name: string;
  symbol: string;
  rate: number;
}

/** The organization's base currency comes first. */
export const currencies: Currency[] = `
EUR,Euro,€,1
USD,US Dollar,$,1.1584
DKK,Danish Krone,kr.,7.4682
GBP,Pound Sterling,£,0.8793
SEK,Swedish Krona,kr,10.9785
NOK,Norwegian Krone,kr,11.7210
CHF,Swiss Franc,CHF,0.9331
PLN,Polish Zloty,zł,4.2376
CZK,Czech Koruna,Kč,24.2050
JPY,Japanese Yen,¥,179.8300
CAD,Canadian Dollar,$,1.6304
AUD,Australian Dollar,$,1.7896
INR,Indian Rupee,₹,103.2750
BRL,Brazilian Real,R$,6.1842
TRY,Turkish Lira,₺,49.1260
UAH,Ukrainian Hryvnia,₴,48.8510
HUF,Hungarian Forint,Ft,382.1500
RON,Romanian Leu,lei,5.0874
ISK,Icelandic Krona,kr,146.9000
CNY,Chinese Yuan,¥,8.2331
SGD,Singapore Dollar,$,1.5082
NZD,New Zealand Dollar,$,2.0516
HKD,Hong Kong Dollar,$,9.0127
KRW,South Korean Won,₩,1694.2000
ZAR,South African Rand,R,19.9540
MXN,Mexican Peso,$,21.3330
ILS,Israeli New Shekel,₪,3.7980
THB,Thai Baht,฿,37.5400
AED,United Arab Emirates Dirham,د.إ,4.2542`
  .trim()
  .split('\n')
  .map((line) => {
    const [code = '', name = '', symbol = '', rate] = line.split(',');
    return { code, name, symbol, rate: Number(rate) };
  });
